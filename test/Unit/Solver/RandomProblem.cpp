//===- RandomProblem.cpp - Problems for the solver's tests ----------------===//

#include "RandomProblem.h"
#include <algorithm>

using namespace tpc::solver;
using namespace tpc::solver::test;

namespace {

using Pairs = std::vector<std::pair<unsigned, unsigned>>;

Pairs makeGraph(Random &random, unsigned nodes) {
  Pairs pairs;
  unsigned width = 2 + static_cast<unsigned>(random.below(2));
  uint64_t kind = random.below(5);
  for (unsigned i = 1; i < nodes; ++i) {
    if (kind == 0) // tree
      pairs.emplace_back(static_cast<unsigned>(random.below(i)), i);
    if (kind == 1 || (kind == 2 && i % width != 0)) // chain, grid
      pairs.emplace_back(i - 1, i);
    if (kind == 2 && i >= width)
      pairs.emplace_back(i - width, i);
    if (kind == 3) // dense
      for (unsigned j = 0; j < i; ++j)
        if (random.chance(70))
          pairs.emplace_back(j, i);
  }
  Pairs result;
  for (auto [from, to] : pairs) {
    if (random.chance(50))
      std::swap(from, to);
    result.emplace_back(from, to);
    if (random.chance(10)) // parallel, either way round
      result.emplace_back(to, from);
  }
  return result;
}

/// How costs are drawn for one problem.
struct CostKind {
  int64_t low, high;
  unsigned forbiddenPercent;

  Cost draw(Random &random) const {
    if (random.chance(forbiddenPercent))
      return kForbidden + static_cast<Cost>(random.below(2));
    return random.between(low, high);
  }
};

CostTable makeTable(Random &random, const CostKind &kind, size_t rows,
                    size_t columns) {
  std::vector<Cost> costs(rows * columns);
  uint64_t shape = random.below(10);
  size_t shift = random.below(columns);
  for (size_t r = 0; r < rows; ++r)
    for (size_t c = 0; c < columns; ++c) {
      Cost &cost = costs[r * columns + c];
      cost = kind.draw(random);
      if (shape == 0 && (r + shift) % columns != c)
        cost = kForbidden; // a function of the row
      if (shape == 1)      // separable
        cost = static_cast<Cost>(3 * r + 5 * c * shift);
    }
  return std::make_shared<const std::vector<Cost>>(std::move(costs));
}

void addMemory(Random &random, Problem &problem) {
  uint64_t kind = random.below(5);
  if (kind == 0)
    return;
  std::vector<int64_t> least(16), most(16);
  for (Node &node : problem.nodes)
    for (uint64_t uses = random.below(3); uses > 0; --uses) {
      MemoryUse &use = node.memory.emplace_back();
      use.live.begin = random.between(0, 11);
      use.live.end = use.live.begin + random.between(-1, 5);
      for (size_t v = 0; v < node.costs.size(); ++v)
        use.bytes.push_back(random.chance(20) ? 0 : random.between(0, 30));
      auto [low, high] =
          std::minmax_element(use.bytes.begin(), use.bytes.end());
      for (int64_t t = use.live.begin; t < use.live.end && t < 16; ++t) {
        least[static_cast<size_t>(t)] += *low;
        most[static_cast<size_t>(t)] += *high;
      }
    }
  int64_t low = *std::max_element(least.begin(), least.end());
  int64_t high = *std::max_element(most.begin(), most.end());
  // Impossible or nearly, tight, in the middle, loose.
  int64_t limits[] = {low - 1, low + (high - low) / 5, (low + high) / 2, high};
  problem.memoryLimit = std::max<int64_t>(0, limits[kind - 1]);
}

} // namespace

Problem tpc::solver::test::makeRandomProblem(uint64_t seed,
                                             uint64_t maxChoices) {
  Random random(seed);
  Problem problem;
  problem.name = "random " + std::to_string(seed);
  CostKind kinds[] = {{0, 1000, 0}, {0, 3, 0},   {-50, 50, 0}, {0, 100, 15},
                      {0, 1, 30},   {-5, 5, 25}, {0, 0, 20},   {0, 1 << 30, 5}};
  const CostKind &kind = kinds[random.below(std::size(kinds))];
  auto count = 1 + random.below(maxChoices > 100000 ? 40 : 12);
  uint64_t choices = 1;
  for (uint64_t i = 0; i < count; ++i) {
    uint64_t values = 1 + random.below(5);
    if (choices * values > maxChoices)
      break;
    choices *= values;
    Node &node = problem.nodes.emplace_back();
    for (uint64_t v = 0; v < values; ++v)
      node.costs.push_back(kind.draw(random));
  }
  auto nodes = static_cast<unsigned>(problem.nodes.size());
  for (auto [from, to] : makeGraph(random, nodes))
    problem.edges.push_back({from, to,
                             makeTable(random, kind, problem.numValues(from),
                                       problem.numValues(to))});
  addMemory(random, problem);
  return problem;
}

Problem tpc::solver::test::makeLayers(const LayersShape &shape) {
  Random random(shape.seed);
  auto vector = [&](int64_t scale) {
    std::vector<int64_t> values(shape.values);
    for (int64_t &value : values)
      value = random.between(scale / 10, scale);
    return values;
  };
  auto table = [&](unsigned percentFree) {
    std::vector<Cost> costs(shape.values * shape.values);
    for (Cost &cost : costs)
      cost = random.chance(percentFree) ? 0 : random.between(1000, 100000);
    return std::make_shared<const std::vector<Cost>>(std::move(costs));
  };
  // One layer; all others are like it.
  std::vector<std::vector<Cost>> operationCosts, parameterCosts;
  std::vector<std::vector<int64_t>> operationBytes, parameterBytes;
  std::vector<CostTable> chain, skip, uses;
  for (unsigned i = 0; i < shape.operations; ++i) {
    operationCosts.push_back(vector(100000));
    operationBytes.push_back(vector(1000000));
    chain.push_back(table(20));
    skip.push_back(table(20));
  }
  for (unsigned i = 0; i < shape.parameters; ++i) {
    // The more it is split, the less it takes and the more it costs.
    int64_t bytes = random.between(1000000, 50000000), cost = 0;
    std::vector<Cost> costs;
    std::vector<int64_t> split;
    for (unsigned v = 0; v < shape.values; ++v) {
      costs.push_back(cost);
      split.push_back(bytes >> v);
      cost += random.between(1000, 200000);
    }
    parameterCosts.push_back(costs);
    parameterBytes.push_back(split);
    uses.push_back(table(40));
  }
  Problem problem;
  problem.name = "layers";
  auto operationsAll = static_cast<int64_t>(shape.layers) * shape.operations;
  auto perLayer = shape.operations + shape.parameters;
  for (unsigned layer = 0; layer < shape.layers; ++layer) {
    unsigned first = layer * perLayer;
    for (unsigned i = 0; i < shape.operations; ++i) {
      int64_t time = int64_t(layer) * shape.operations + i;
      Node &node = problem.nodes.emplace_back();
      node.costs = operationCosts[i];
      if (shape.memory)
        node.memory.push_back({{time, time + 2}, operationBytes[i]});
      unsigned at = first + i;
      if (i > 0)
        problem.edges.push_back({at - 1, at, chain[i]});
      else if (layer > 0)
        problem.edges.push_back(
            {at - perLayer + shape.operations - 1, at, chain[i]});
      // A side branch (as of queries, keys and values), and two residual
      // connections around the halves of the layer.
      if (i >= 3 && i % 4 == 3)
        problem.edges.push_back({at - 2, at, skip[i]});
      if (i == shape.operations / 2 && layer > 0)
        problem.edges.push_back({at - i - shape.parameters - 1, at, skip[i]});
      if (i == shape.operations - 1)
        problem.edges.push_back({first + shape.operations / 2, at, skip[i]});
    }
    for (unsigned i = 0; i < shape.parameters; ++i) {
      Node &node = problem.nodes.emplace_back();
      node.costs = parameterCosts[i];
      if (shape.memory)
        node.memory.push_back({{0, operationsAll + 2}, parameterBytes[i]});
      problem.edges.push_back({first + i % shape.operations,
                               first + shape.operations + i, uses[i]});
    }
  }
  if (shape.memory) {
    WideCost least = 0, most = 0;
    Choice lowest;
    for (const Node &node : problem.nodes) {
      const auto &bytes = node.memory[0].bytes;
      lowest.push_back(static_cast<unsigned>(
          std::min_element(bytes.begin(), bytes.end()) - bytes.begin()));
    }
    least = price(problem, lowest).peakBytes;
    for (unsigned i = 0; i < problem.nodes.size(); ++i) {
      const auto &bytes = problem.nodes[i].memory[0].bytes;
      lowest[i] = static_cast<unsigned>(
          std::max_element(bytes.begin(), bytes.end()) - bytes.begin());
    }
    most = price(problem, lowest).peakBytes;
    problem.memoryLimit =
        static_cast<int64_t>(least + (most - least) * shape.limitPercent / 100);
  }
  return problem;
}
