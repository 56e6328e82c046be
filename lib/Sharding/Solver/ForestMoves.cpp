//===- ForestMoves.cpp - Large-neighbourhood search by forests ------------===//

#include "ForestMoves.h"
#include "Kernels.h"
#include <algorithm>
#include <cmath>

using namespace tpc::solver;

/// Nodes with more neighbours than this are looked at from a few of them only.
static constexpr unsigned kManyArcs = 48;
/// How often the prices of rows that do not fit rise before a move is given up.
static constexpr unsigned kAttempts = 6;
/// How large most regions are.
static constexpr double kUsualSize = 32;
/// Annealing begins with this part of the cost of a node.
static constexpr double kHot = 1;
/// The work of the first epoch of annealing: at least, and by node.
static constexpr size_t kFirstEpoch = 1 << 21, kWorkPerNode = 1 << 11;

ForestMoves::ForestMoves(const FlatProblem &flat, uint64_t seed)
    : flat(flat), random(seed), positionInTime(flat.numNodes(), 0),
      memoryPrice(flat.unary.size(), 0.0), seen(flat.numNodes(), 0),
      inForest(flat.numNodes(), 0), place(flat.numNodes(), 0) {
  const CapacityRows &memory = flat.memory;
  for (unsigned i = 0; i < flat.numNodes(); ++i) {
    if (flat.numValues[i] < 2)
      continue;
    open.push_back(i);
    if (memory.useBegin[i] < memory.useBegin[i + 1])
      byTime.push_back(i);
  }
  std::sort(byTime.begin(), byTime.end(), [&](unsigned a, unsigned b) {
    return std::pair(memory.uses[memory.useBegin[a]].firstRow, a) <
           std::pair(memory.uses[memory.useBegin[b]].firstRow, b);
  });
  for (unsigned p = 0; p < byTime.size(); ++p)
    positionInTime[byTime[p]] = p;
}

void ForestMoves::setPrices(const std::vector<double> &prices) {
  const CapacityRows &memory = flat.memory;
  std::vector<double> before(memory.numRows() + 1, 0.0);
  for (size_t r = 0; r < memory.numRows(); ++r)
    before[r + 1] = before[r] + prices[r];
  std::fill(memoryPrice.begin(), memoryPrice.end(), 0.0);
  for (unsigned i = 0; i < flat.numNodes(); ++i)
    for (unsigned u = memory.useBegin[i]; u < memory.useBegin[i + 1]; ++u)
      addScaled(before[memory.uses[u].endRow] - before[memory.uses[u].firstRow],
                &flat.bytes[flat.bytesBegin[u]], flat.slots(i),
                &memoryPrice[flat.begin[i]]);
}

void ForestMoves::start(const Choice &choice) {
  state.emplace(flat, choice);
  repairing = true;
  repairPrice = 0;
  keepIfBest();
}

void ForestMoves::offer(const Choice &choice) {
  if (!state)
    start(choice);
  else
    offered = choice;
}

void ForestMoves::keepIfBest() {
  if (repairing)
    repairing = !state->keepsMemory() || state->cost() >= FlatProblem::kBig;
  if (repairing || (found() && state->cost() >= bestTotal))
    return;
  bestTotal = state->cost();
  bestChoice = state->current();
}

//===----------------------------------------------------------------------===//
// Regions and forests
//===----------------------------------------------------------------------===//

void ForestMoves::growRegion(unsigned seed, unsigned size) {
  if (seen[seed] == now)
    return;
  frontier.assign(1, seed);
  seen[seed] = now;
  while (!frontier.empty() && size > 0) {
    unsigned pick = random.below(unsigned(frontier.size()));
    unsigned node = frontier[pick];
    frontier[pick] = frontier.back();
    frontier.pop_back();
    region.push_back(node);
    --size;
    unsigned first = flat.arcBegin[node];
    unsigned count = flat.arcBegin[node + 1] - first;
    unsigned looks = std::min(count, kManyArcs);
    for (unsigned k = 0; k < looks; ++k) {
      unsigned a = first + (count > kManyArcs ? random.below(count) : k);
      unsigned other = flat.arcs[a].other;
      if (seen[other] == now || flat.numValues[other] < 2)
        continue;
      seen[other] = now;
      frontier.push_back(other);
    }
    work += looks;
  }
}

/// One or more connected parts. Parts that are close in time compete for the
/// same memory.
void ForestMoves::growParts(unsigned seed, unsigned size) {
  unsigned parts = 1 + random.below(4);
  for (unsigned p = 0; p < parts; ++p) {
    growRegion(seed, std::max(1u, size / parts));
    if (byTime.empty())
      return;
    unsigned position = positionInTime[seed];
    unsigned reach = 1 + random.below(64);
    unsigned low = position > reach ? position - reach : 0;
    unsigned high =
        std::min<size_t>(byTime.size(), size_t(position) + reach + 1);
    seed = byTime[low + random.below(high - low)];
  }
}

/// The nodes of the region in order, except those that would close a cycle.
void ForestMoves::pickForest() {
  forest.clear();
  treeEdges.clear();
  auto rootOf = [&](unsigned m) {
    while (forest[m].parent != m)
      m = forest[m].parent = forest[forest[m].parent].parent;
    return m;
  };
  for (unsigned node : region) {
    unsigned self = unsigned(forest.size());
    size_t firstEdge = treeEdges.size();
    unsigned count = flat.arcBegin[node + 1] - flat.arcBegin[node];
    // Where there are many neighbours, most are outside of the region.
    if (count > kManyArcs && random.below(count) > 4 * kManyArcs)
      continue;
    work += count;
    bool closesCycle = false;
    roots.clear();
    for (unsigned a = flat.arcBegin[node];
         a < flat.arcBegin[node + 1] && !closesCycle; ++a) {
      unsigned other = flat.arcs[a].other;
      if (inForest[other] != now)
        continue;
      unsigned root = rootOf(place[other]);
      closesCycle = std::find(roots.begin(), roots.end(), root) != roots.end();
      roots.push_back(root);
      treeEdges.push_back({self, place[other], a});
    }
    if (closesCycle) {
      treeEdges.resize(firstEdge);
      continue;
    }
    for (unsigned root : roots)
      forest[root].parent = self;
    inForest[node] = now;
    place[node] = self;
    forest.push_back({node, self, 0, 0, 0, state->current()[node]});
  }
  orderTrees();
  takeLocalCosts();
}

/// The node of a member that has been put in order.
static constexpr unsigned kPlaced = ~0u;

/// Sorts the members such that parents come first, and finds these.
void ForestMoves::orderTrees() {
  unsigned size = unsigned(forest.size());
  // Tree edges by member, both ways.
  edgeBegin.assign(size + 1, 0);
  for (auto [a, b, arc] : treeEdges) {
    ++edgeBegin[a];
    ++edgeBegin[b];
  }
  for (unsigned m = 0, sum = 0; m <= size; ++m)
    edgeBegin[m] = sum += edgeBegin[m];
  halfEdges.resize(2 * treeEdges.size());
  for (auto [a, b, arc] : treeEdges) {
    halfEdges[--edgeBegin[a]] = {b, arc};
    halfEdges[--edgeBegin[b]] = {a, flat.arcs[arc].reverse};
  }
  ordered.clear();
  size_t values = 0;
  for (unsigned m = 0; m < size; ++m) {
    if (forest[m].node == kPlaced)
      continue;
    size_t next = ordered.size();
    ordered.push_back(forest[m]);
    ordered.back().parent = unsigned(next);
    forest[m].node = kPlaced;
    memberOf.resize(next);
    memberOf.push_back(m);
    for (; next < ordered.size(); ++next) {
      ordered[next].values = values;
      values += flat.slots(ordered[next].node);
      unsigned from = memberOf[next];
      for (unsigned e = edgeBegin[from]; e < edgeBegin[from + 1]; ++e) {
        auto [to, arc] = halfEdges[e];
        if (forest[to].node == kPlaced)
          continue;
        ordered.push_back(forest[to]);
        ordered.back().parent = unsigned(next);
        ordered.back().arcDown = arc;
        ordered.back().arcUp = flat.arcs[arc].reverse;
        forest[to].node = kPlaced;
        memberOf.push_back(to);
      }
    }
  }
  forest.swap(ordered);
  local.resize(values);
  solved.resize(values);
}

/// What the members cost with all nodes that are not in the forest.
void ForestMoves::takeLocalCosts() {
  for (const Member &member : forest)
    std::copy_n(state->around(member.node), flat.slots(member.node),
                &local[member.values]);
  for (const Member &member : forest) {
    const Member &parent = forest[member.parent];
    if (&parent == &member)
      continue;
    const Choice &choice = state->current();
    unsigned slots = flat.slots(member.node),
             parentSlots = flat.slots(parent.node);
    subtract(&local[member.values],
             flat.row(flat.arcs[member.arcDown], choice[parent.node]), slots,
             &local[member.values]);
    subtract(&local[parent.values],
             flat.row(flat.arcs[member.arcUp], choice[member.node]),
             parentSlots, &local[parent.values]);
    work += size_t(slots) * parentSlots;
  }
}

//===----------------------------------------------------------------------===//
// Solving a forest
//===----------------------------------------------------------------------===//

void ForestMoves::priceForest(double factor, double noise) {
  const CapacityRows &memory = flat.memory;
  for (const Member &member : forest) {
    unsigned slots = flat.slots(member.node);
    std::copy_n(&local[member.values], slots, &solved[member.values]);
    addScaled(factor, &memoryPrice[flat.begin[member.node]], slots,
              &solved[member.values]);
    if (noise > 0)
      for (unsigned v = 0; v < slots; ++v)
        solved[member.values + v] += noise * random.unit();
    if (extra.empty())
      continue;
    for (unsigned u = memory.useBegin[member.node];
         u < memory.useBegin[member.node + 1]; ++u) {
      const CapacityRows::Use &use = memory.uses[u];
      double sum = 0;
      for (const ExtraPrice &entry : extra)
        if (use.firstRow <= entry.row && entry.row < use.endRow)
          sum += entry.price;
      if (sum > 0)
        addScaled(sum, &flat.bytes[flat.bytesBegin[u]], slots,
                  &solved[member.values]);
    }
  }
}

void ForestMoves::solveForest() {
  for (size_t m = forest.size(); m-- > 0;) {
    const Member &member = forest[m];
    if (member.parent == m)
      continue;
    const Member &parent = forest[member.parent];
    unsigned slots = flat.slots(parent.node);
    message.resize(slots);
    // The same constant for all values of the parent changes nothing.
    sendMessage(&solved[member.values], flat.numValues[member.node],
                &flat.tables[flat.arcs[member.arcUp].table], slots,
                message.data());
    addRows(message.data(), 1, slots, &solved[parent.values]);
    work += size_t(slots) * flat.numValues[member.node];
  }
  for (size_t m = 0; m < forest.size(); ++m) {
    Member &member = forest[m];
    double *values = &solved[member.values];
    if (member.parent != m) {
      const Member &parent = forest[member.parent];
      addRows(flat.row(flat.arcs[member.arcDown], parent.chosen), 1,
              flat.slots(member.node), values);
    }
    member.chosen = unsigned(
        std::min_element(values, values + flat.numValues[member.node]) -
        values);
  }
}

double ForestMoves::changeOfCost() const {
  const Choice &choice = state->current();
  double change = 0;
  for (size_t m = 0; m < forest.size(); ++m) {
    const Member &member = forest[m];
    const double *values = &local[member.values];
    change += values[member.chosen] - values[choice[member.node]];
    if (member.parent == m)
      continue;
    const Member &parent = forest[member.parent];
    const FlatProblem::Arc &arc = flat.arcs[member.arcUp];
    change += flat.row(arc, member.chosen)[parent.chosen] -
              flat.row(arc, choice[member.node])[choice[parent.node]];
  }
  return change;
}

/// The price of the memory that the forest takes in addition.
double ForestMoves::changeOfMemory() const {
  double change = 0;
  for (const Member &member : forest) {
    const double *price = &memoryPrice[flat.begin[member.node]];
    change += price[member.chosen] - price[state->current()[member.node]];
  }
  return change;
}

/// Whether the rows that become fuller hold what the forest chose; otherwise
/// the rows that do not are in overflows.
bool ForestMoves::fits() {
  const CapacityRows &memory = flat.memory;
  changes.clear();
  overflows.clear();
  for (const Member &member : forest) {
    unsigned old = state->current()[member.node];
    if (old == member.chosen)
      continue;
    for (unsigned u = memory.useBegin[member.node];
         u < memory.useBegin[member.node + 1]; ++u) {
      const CapacityRows::Use &use = memory.uses[u];
      int64_t bytes = memory.excess[use.bytes + member.chosen] -
                      memory.excess[use.bytes + old];
      if (bytes == 0)
        continue;
      changes.push_back({use.firstRow, bytes});
      changes.push_back({use.endRow, -bytes});
    }
  }
  std::sort(changes.begin(), changes.end(),
            [](const RowBytes &a, const RowBytes &b) { return a.row < b.row; });
  int64_t more = 0;
  for (size_t c = 0; c < changes.size();) {
    unsigned row = changes[c].row;
    while (c < changes.size() && changes[c].row == row)
      more += changes[c++].bytes;
    if (more <= 0)
      continue;
    RowLoads::Largest largest = state->loads().largest(row, changes[c].row);
    // A row that is too full already must not become fuller.
    if (std::max<int64_t>(largest.load, 0) < largest.load + more)
      overflows.push_back({largest.row, largest.load + more});
  }
  return overflows.empty();
}

/// Makes what was gained by overflowing rows as expensive as it was worth.
void ForestMoves::raisePrices(double gain, double factor) {
  std::sort(overflows.begin(), overflows.end(),
            [](const RowBytes &a, const RowBytes &b) {
              return std::pair(b.bytes, a.row) < std::pair(a.bytes, b.row);
            });
  size_t count = std::min<size_t>(overflows.size(), 3);
  for (size_t k = 0; k < count; ++k) {
    double price = factor * gain / double(overflows[k].bytes);
    auto known =
        std::find_if(extra.begin(), extra.end(), [&](const ExtraPrice &entry) {
          return entry.row == overflows[k].row;
        });
    if (known != extra.end())
      known->price += price;
    else
      extra.push_back({overflows[k].row, price});
  }
}

void ForestMoves::apply() {
  for (const Member &member : forest)
    if (state->current()[member.node] != member.chosen) {
      state->set(member.node, member.chosen);
      work +=
          size_t(flat.arcBegin[member.node + 1] - flat.arcBegin[member.node]) *
              8 +
          16;
    }
}

//===----------------------------------------------------------------------===//
// The search
//===----------------------------------------------------------------------===//

/// About e^-x, by basic arithmetic alone: libraries differ in the last digit of
/// theirs, and answers must not.
static double decay(double x) {
  double result = std::max(0.0, 1 - x / 1024);
  for (unsigned k = 0; k < 10; ++k)
    result *= result;
  return result;
}

/// The cost that is lost with a probability of 1/e.
double ForestMoves::heat() const {
  double progress = double(epochWork) / double(epochLength);
  return hot * decay(4.6 * progress) * (1 - progress);
}

/// Mostly small, now and then up to everything, with about equal work on every
/// scale.
unsigned ForestMoves::regionSize() {
  double size = kUsualSize / std::max(random.unit(), 1e-9);
  return unsigned(std::min(size, double(open.size())));
}

void ForestMoves::improve() {
  ++now;
  region.clear();
  growParts(open[random.below(unsigned(open.size()))], regionSize());
  pickForest();
  extra.clear();
  double warm = heat();
  double priced = random.below(3) == 0 ? 0 : 1.2 * random.unit();
  double noise = random.below(2) == 0 ? 4 * warm * random.unit() : 0;
  for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
    priceForest(priced, noise);
    solveForest();
    double change = changeOfCost();
    if (!fits()) {
      raisePrices(std::max(-change, warm) + 1,
                  (0.5 + random.unit()) * (1 << attempt));
      continue;
    }
    // Memory that becomes free is worth something, until the end.
    double left = 1 - double(epochWork) / double(epochLength);
    double loss = change + left * changeOfMemory();
    if (loss <= 0 || (warm > 0 && random.unit() < decay(loss / warm))) {
      apply();
      keepIfBest();
    }
    return;
  }
}

/// A node where something is wrong: that takes memory in the row `worst` if it
/// is too full, or has a forbidden cost.
unsigned ForestMoves::culprit(RowLoads::Largest worst) {
  const CapacityRows &memory = flat.memory;
  const Choice &choice = state->current();
  auto isWrong = [&](unsigned node) {
    if (worst.load <= 0)
      return state->around(node)[choice[node]] >= FlatProblem::kBig;
    for (unsigned u = memory.useBegin[node]; u < memory.useBegin[node + 1];
         ++u) {
      const CapacityRows::Use &use = memory.uses[u];
      if (use.firstRow <= worst.row && worst.row < use.endRow &&
          memory.excess[use.bytes + choice[node]] > 0)
        return true;
    }
    return false;
  };
  unsigned start = random.below(unsigned(open.size()));
  work += 64;
  for (unsigned k = 0; k < open.size(); ++k) {
    unsigned node = open[(start + k) % open.size()];
    if (isWrong(node))
      return node;
  }
  return open[start];
}

void ForestMoves::repair() {
  RowLoads::Largest worst{0, 0};
  if (flat.memory.numRows())
    worst = state->loads().largest(0, unsigned(flat.memory.numRows()));
  if (state->cost() >= FlatProblem::kBig && random.below(2) == 0)
    worst.load = 0;
  ++now;
  region.clear();
  unsigned size = 8 + random.below(120);
  growRegion(culprit(worst), size);
  growParts(open[random.below(unsigned(open.size()))], size);
  pickForest();
  extra.clear();
  if (worst.load > 0) {
    if (repairPrice == 0)
      repairPrice = (std::fmod(state->cost(), FlatProblem::kBig) + 1) /
                    (1000 * (double(flat.memory.capacity[worst.row]) +
                             double(worst.load)));
    repairPrice = std::min(repairPrice * 1.02, FlatProblem::kBig);
    extra.push_back({worst.row, repairPrice});
  }
  for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
    priceForest(0, 0);
    solveForest();
    if (!fits()) {
      raisePrices(std::fabs(changeOfCost()) + 1, 1 << attempt);
      continue;
    }
    apply();
    keepIfBest();
    return;
  }
}

/// By turns from the best choice and from what was offered.
void ForestMoves::nextEpoch() {
  epochWork = 0;
  size_t base = std::max(kFirstEpoch, open.size() * kWorkPerNode);
  epochLength = base * (4 + epochs) / 4;
  hot = kHot * bestTotal / double(open.size());
  if (++epochs % 2 == 0 && !offered.empty()) {
    start(offered);
    offered.clear();
  } else if (found()) {
    start(bestChoice);
  }
}

void ForestMoves::run(size_t budget, Deadline deadline) {
  if (open.empty())
    return;
  size_t end = work + budget;
  while (work < end && !isOver(deadline)) {
    size_t before = work;
    if (epochWork >= epochLength)
      nextEpoch();
    if (repairing)
      repair();
    else
      improve();
    work += 64;
    epochWork += work - before;
  }
}
