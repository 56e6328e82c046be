//===- Bound.cpp - A lower bound from messages and prices -----------------===//

#include "Bound.h"
#include "Kernels.h"
#include <algorithm>
#include <cmath>

using namespace tpc::solver;

/// The largest price in fixed point. Sums over 2^22 rows still fit 63 bits.
static constexpr int64_t kMaxPrice = int64_t(1) << 40;

Bound::Bound(const FlatProblem &problem)
    : flat(&problem), own(flat->unary), priced(flat->unary),
      messages(flat->messageSlots, 0.0), taken(flat->arcs.size(), 0.0),
      rowPrices(flat->memory.numRows(), 0), least(flat->numNodes(), 0) {
  // A price that makes the largest row cost kBig is large enough.
  int64_t capacity = 1;
  for (int64_t bytes : flat->memory.capacity)
    capacity = std::max(capacity, bytes);
  priceShift = std::max(0, std::ilogb(double(capacity)) - 5);
  for (unsigned i = 0; i < flat->numNodes(); ++i) {
    maxSlots = std::max(maxSlots, flat->slots(i));
    for (unsigned a = flat->firstForward[i]; a < flat->arcBegin[i + 1]; ++a)
      work += size_t(flat->numValues[i]) * flat->slots(flat->arcs[a].other);
    work += flat->slots(i);
  }
}

void Bound::setPrices(const std::vector<double> &prices) {
  const CapacityRows &memory = flat->memory;
  double factor = std::ldexp(1.0, priceShift);
  WideCost sum = 0;
  std::vector<int64_t> before(memory.numRows() + 1, 0); // of prices
  for (size_t r = 0; r < memory.numRows(); ++r) {
    rowPrices[r] = static_cast<int64_t>(
        std::clamp(prices[r] * factor, 0.0, double(kMaxPrice)));
    before[r + 1] = before[r] + rowPrices[r];
    sum += WideCost(rowPrices[r]) * memory.capacity[r];
  }
  priceOfCapacity = (sum + (WideCost(1) << priceShift) - 1) >> priceShift;
  // These sums are not exact: what they may be too high by comes off.
  double scale = std::ldexp(1 - 0x1p-36, -priceShift);
  std::vector<double> paid(maxSlots);
  for (unsigned i = 0; i < flat->numNodes(); ++i) {
    unsigned firstUse = memory.useBegin[i], endUse = memory.useBegin[i + 1];
    if (firstUse == endUse)
      continue;
    unsigned slots = flat->slots(i);
    std::fill_n(paid.begin(), slots, 0.0);
    for (unsigned u = firstUse; u < endUse; ++u) {
      const CapacityRows::Use &use = memory.uses[u];
      addScaled(double(before[use.endRow] - before[use.firstRow]),
                &flat->bytes[flat->bytesBegin[u]], slots, paid.data());
    }
    double *values = &priced[flat->begin[i]];
    const double *base = &own[flat->begin[i]];
    for (unsigned v = 0; v < slots; ++v)
      values[v] =
          std::min(base[v] + std::floor(paid[v] * scale), FlatProblem::kBig);
  }
}

std::vector<double> Bound::prices() const {
  double unit = std::ldexp(1.0, -priceShift);
  std::vector<double> result;
  result.reserve(rowPrices.size());
  for (int64_t price : rowPrices)
    result.push_back(double(price) * unit);
  return result;
}

void Bound::receive(unsigned node, double *sum) const {
  unsigned slots = flat->slots(node), first = flat->arcBegin[node],
           end = flat->arcBegin[node + 1];
  std::copy_n(&priced[flat->begin[node]], slots, sum);
  if (first != end)
    addRows(&messages[flat->arcs[first].message], end - first, slots, sum);
}

template <bool forward> WideCost Bound::passInDirection() {
  WideCost bound = flat->constant - priceOfCapacity;
  std::vector<double> cost(maxSlots), share(maxSlots), sent(maxSlots);
  for (unsigned k = 0; k < flat->numNodes(); ++k) {
    unsigned i = forward ? k : flat->numNodes() - 1 - k;
    unsigned slots = flat->slots(i), values = flat->numValues[i];
    receive(i, cost.data());
    unsigned best = unsigned(
        std::min_element(cost.begin(), cost.begin() + values) - cost.begin());
    least[i] = best;
    double base = cost[best];
    bound += int64_t(base);

    unsigned firstForward = flat->firstForward[i];
    unsigned first = forward ? firstForward : flat->arcBegin[i];
    unsigned end = forward ? flat->arcBegin[i + 1] : firstForward;
    if (first == end)
      continue;
    unsigned most = std::max(firstForward - flat->arcBegin[i],
                             flat->arcBegin[i + 1] - firstForward);
    takeShares(cost.data(), base, 1.0 / most, &own[flat->begin[i]], slots,
               share.data());
    for (unsigned a = first; a < end; ++a) {
      const FlatProblem::Arc &arc = flat->arcs[a];
      subtract(share.data(), &messages[arc.message], slots, sent.data());
      double *message = &messages[flat->arcs[arc.reverse].message];
      taken[a] = sendMessage(sent.data(), values, &flat->tables[arc.table],
                             flat->slots(arc.other), message);
      bound += int64_t(taken[a]);
    }
  }
  return bound;
}

WideCost Bound::pass(bool forward) {
  return forward ? passInDirection<true>() : passInDirection<false>();
}

Choice Bound::round() const {
  Choice choice(flat->numNodes(), 0);
  std::vector<double> cost(maxSlots);
  for (unsigned i = 0; i < flat->numNodes(); ++i) {
    unsigned slots = flat->slots(i);
    std::copy_n(&priced[flat->begin[i]], slots, cost.begin());
    for (unsigned a = flat->arcBegin[i]; a < flat->arcBegin[i + 1]; ++a) {
      const FlatProblem::Arc &arc = flat->arcs[a];
      if (arc.other > i)
        addRows(&messages[arc.message], 1, slots, cost.data());
      else
        addRows(flat->row(flat->arcs[arc.reverse], choice[arc.other]), 1, slots,
                cost.data());
    }
    choice[i] = unsigned(
        std::min_element(cost.begin(), cost.begin() + flat->numValues[i]) -
        cost.begin());
  }
  return choice;
}

void Bound::forbid(unsigned node, unsigned value) {
  own[flat->begin[node] + value] = FlatProblem::kBig;
  priced[flat->begin[node] + value] = FlatProblem::kBig;
}

// What a backward pass leaves at nodes and edges is at least 0 and adds to the
// bound. A forward sweep collects for every value what it meets there at least:
//
//   collected(value) = own + messages from later nodes - least
//                    + sum over earlier neighbours of
//                      min over their values (collected / edges ahead
//                                             - message back + table)
//                      - what the edge has paid into the bound
//
// Nothing is counted twice, since every node passes on at most what it has.
size_t Bound::fix(WideCost bound, WideCost atMost) {
  if (bound > atMost || atMost - bound >= int64_t(FlatProblem::kMostFinite))
    return 0;
  double allowed = double(int64_t(atMost - bound));
  std::vector<double> collected(flat->messageSlots), cost(maxSlots),
      share(maxSlots), sent(maxSlots);
  size_t numFixed = 0;
  for (unsigned i = 0; i < flat->numNodes(); ++i) {
    unsigned slots = flat->slots(i), values = flat->numValues[i];
    receive(i, cost.data());
    double base = *std::min_element(cost.begin(), cost.begin() + values);
    for (unsigned v = 0; v < slots; ++v)
      cost[v] -= base;
    unsigned firstForward = flat->firstForward[i], end = flat->arcBegin[i + 1];
    for (unsigned a = flat->arcBegin[i]; a < firstForward; ++a) {
      const FlatProblem::Arc &arc = flat->arcs[a];
      subtract(cost.data(), &messages[arc.message], slots, cost.data());
      addRows(&collected[arc.message], 1, slots, cost.data());
    }
    for (unsigned v = 0; v < values; ++v)
      if (cost[v] > allowed && !isForbidden(i, v)) {
        forbid(i, v);
        ++numFixed;
      }
    if (firstForward == end)
      continue;
    takeShares(cost.data(), 0, 1.0 / (end - firstForward), &own[flat->begin[i]],
               slots, share.data());
    for (unsigned a = firstForward; a < end; ++a) {
      const FlatProblem::Arc &arc = flat->arcs[a];
      subtract(share.data(), &messages[arc.message], slots, sent.data());
      double *message = &collected[flat->arcs[arc.reverse].message];
      unsigned width = flat->slots(arc.other);
      double low = sendMessage(sent.data(), values, &flat->tables[arc.table],
                               width, message);
      for (unsigned v = 0; v < width; ++v)
        message[v] += low - taken[arc.reverse];
    }
  }
  return numFixed;
}
