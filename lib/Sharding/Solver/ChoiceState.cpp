//===- ChoiceState.cpp - A choice and what a change would cost ------------===//

#include "ChoiceState.h"
#include "Kernels.h"
#include <algorithm>

using namespace tpc::solver;

RowLoads::RowLoads(const std::vector<int64_t> &loads) {
  while (numLeaves < loads.size())
    numLeaves *= 2;
  most.assign(2 * numLeaves, INT64_MIN / 2);
  added.assign(2 * numLeaves, 0);
  std::copy(loads.begin(), loads.end(), most.begin() + numLeaves);
  for (unsigned k = numLeaves - 1; k > 0; --k)
    most[k] = std::max(most[2 * k], most[2 * k + 1]);
}

void RowLoads::add(unsigned k, unsigned first, unsigned end, unsigned begin,
                   unsigned width, int64_t amount) {
  if (first <= begin && begin + width <= end) {
    most[k] += amount;
    added[k] += amount;
    return;
  }
  unsigned half = width / 2;
  if (first < begin + half)
    add(2 * k, first, end, begin, half, amount);
  if (end > begin + half)
    add(2 * k + 1, first, end, begin + half, half, amount);
  most[k] = std::max(most[2 * k], most[2 * k + 1]) + added[k];
}

void RowLoads::add(unsigned first, unsigned end, int64_t amount) {
  if (first < end && amount != 0)
    add(1, first, end, 0, numLeaves, amount);
}

void RowLoads::find(unsigned k, unsigned first, unsigned end, unsigned begin,
                    unsigned width, int64_t above, Largest &found) const {
  if (most[k] + above <= found.load)
    return;
  if (width == 1) {
    found = {most[k] + above, begin};
    return;
  }
  unsigned half = width / 2;
  above += added[k];
  if (first < begin + half)
    find(2 * k, first, end, begin, half, above, found);
  if (end > begin + half)
    find(2 * k + 1, first, end, begin + half, half, above, found);
}

RowLoads::Largest RowLoads::largest(unsigned first, unsigned end) const {
  Largest found{INT64_MIN, first};
  find(1, first, end, 0, numLeaves, 0, found);
  return found;
}

ChoiceState::ChoiceState(const FlatProblem &flat, const Choice &choice)
    : flat(flat), choice(choice), conditioned(flat.unary), rows([&] {
        const CapacityRows &memory = flat.memory;
        std::vector<int64_t> loads(memory.numRows() + 1, 0);
        for (unsigned i = 0; i < flat.numNodes(); ++i)
          for (unsigned u = memory.useBegin[i]; u < memory.useBegin[i + 1];
               ++u) {
            int64_t bytes = memory.excess[memory.uses[u].bytes + choice[i]];
            loads[memory.uses[u].firstRow] += bytes;
            loads[memory.uses[u].endRow] -= bytes;
          }
        for (size_t r = 0; r < memory.numRows(); ++r)
          loads[r + 1] += loads[r];
        loads.pop_back();
        for (size_t r = 0; r < memory.numRows(); ++r)
          loads[r] -= memory.capacity[r];
        return RowLoads(loads);
      }()) {
  for (unsigned i = 0; i < flat.numNodes(); ++i) {
    total += flat.unary[flat.begin[i] + choice[i]];
    for (unsigned a = flat.arcBegin[i]; a < flat.arcBegin[i + 1]; ++a) {
      const FlatProblem::Arc &arc = flat.arcs[a];
      const double *row = flat.row(arc, choice[i]);
      addRows(row, 1, flat.slots(arc.other),
              &conditioned[flat.begin[arc.other]]);
      if (arc.other > i)
        total += row[choice[arc.other]];
    }
  }
}

bool ChoiceState::keepsMemory() const {
  size_t numRows = flat.memory.numRows();
  return numRows == 0 || rows.largest(0, unsigned(numRows)).load <= 0;
}

void ChoiceState::set(unsigned node, unsigned value) {
  unsigned old = choice[node];
  if (value == old)
    return;
  total += around(node)[value] - around(node)[old];
  choice[node] = value;
  for (unsigned a = flat.arcBegin[node]; a < flat.arcBegin[node + 1]; ++a) {
    const FlatProblem::Arc &arc = flat.arcs[a];
    exchangeRow(flat.row(arc, value), flat.row(arc, old), flat.slots(arc.other),
                &conditioned[flat.begin[arc.other]]);
  }
  const CapacityRows &memory = flat.memory;
  for (unsigned u = memory.useBegin[node]; u < memory.useBegin[node + 1]; ++u) {
    const CapacityRows::Use &use = memory.uses[u];
    rows.add(use.firstRow, use.endRow,
             memory.excess[use.bytes + value] - memory.excess[use.bytes + old]);
  }
}
