//===- ShardingDemands.cpp - The problem under further demands ------------===//
//
// Values of nodes that are not as demanded, and entries of edges that price a
// reshard that must not stand, become forbidden in a copy of the problem.
//
//===----------------------------------------------------------------------===//

#include "ShardingProblemParts.h"

using namespace mlir;
using namespace tpc;
using solver::Cost;
using solver::CostTable;
using solver::kForbidden;

std::vector<Sharding> ShardingProblem::shardingsOf(const Port *port) {
  std::vector<Sharding> found;
  llvm::DenseSet<unsigned> known;
  for (unsigned number : port->shardings)
    if (known.insert(number).second)
      found.push_back(port->space->shardings[number]);
  return found;
}

std::vector<Sharding> ShardingProblem::choicesFor(StringAttr symbol) const {
  return shardingsOf(nodes[symbolNodes.lookup(symbol)].gives[0]);
}

std::vector<Sharding> ShardingProblem::choicesFor(Value value) const {
  return shardingsOf(makers.find(value)->second.port);
}

std::vector<Sharding> ShardingProblem::choicesFor(Operation *ret,
                                                  unsigned index) const {
  for (const NodeInfo &node : nodes)
    if (node.kind == NodeInfo::Result && node.op == ret && node.index == index)
      return shardingsOf(node.wants[0]);
  return {};
}

/// Whether `value` of a node, which is no copy, is as demanded.
bool ShardingProblem::allows(const NodeInfo &node, unsigned value,
                             const SearchDemands &demands) const {
  auto is = [&](const Port *port, const Sharding &sharding) {
    return chosen(port, value) == canonical(sharding, port->space->shape, mesh);
  };
  auto isAsDemanded = [&](const auto &map, auto key, const Port *port) {
    auto found = map.find(key);
    return found == map.end() || is(port, found->second);
  };
  switch (node.kind) {
  case NodeInfo::Symbol:
    return isAsDemanded(demands.symbols, SymbolTable::getSymbolName(node.op),
                        node.gives[0]);
  case NodeInfo::Argument:
    return isAsDemanded(demands.held, node.value, node.gives[0]);
  case NodeInfo::Result:
    return isAsDemanded(demands.returned, std::pair(node.op, node.index),
                        node.wants[0]);
  case NodeInfo::Op:
  case NodeInfo::Shard: {
    for (auto [result, port] :
         llvm::zip_equal(node.op->getResults(), node.gives))
      if (!isAsDemanded(demands.held, Value(result), port))
        return false;
    if (demands.silent.contains(node.op) && !isSilent(node.op, value))
      return false;
    auto strategy = demands.strategies.find(node.op);
    return strategy == demands.strategies.end() ||
           (llvm::equal(node.wants, strategy->second.operands, is) &&
            llvm::equal(node.gives, strategy->second.results, is));
  }
  case NodeInfo::Copy:
    return true;
  }
  llvm_unreachable("unknown kind of node");
}

bool ShardingProblem::isSilent(Operation *op, unsigned value) const {
  const StrategySpace::Strategies &strategies = space.of(op);
  std::vector<unsigned> allowed = allowedStrategies(op, strategies);
  unsigned strategy = allowed[value % allowed.size()];
  return strategies[strategy].communicationMicros == 0;
}

/// The costs of an edge with no reshard from `held` to `wanted`.
CostTable ShardingProblem::without(const CostTable &costs,
                                   const Crossing &crossing, unsigned held,
                                   unsigned wanted) const {
  // What each column means: a reshard to this, or none.
  std::vector<std::optional<unsigned>> targets;
  size_t columns = costs->size() / crossing.from->shardings.size();
  if (!crossing.to) {
    targets.resize(columns); // see addCopies
    for (size_t kind = withMemory ? 2 : 1; kind < columns; ++kind)
      targets[kind] = crossing.target;
  } else if (columns == crossing.to->shardings.size() &&
             nodes[built.edges[crossing.edge].to].kind != NodeInfo::Copy) {
    targets.assign(crossing.to->shardings.begin(),
                   crossing.to->shardings.end());
  } else {
    auto distinct = distinctTargets(ArrayRef<const Port *>(crossing.to));
    size_t ways = columns / distinct.size(); // see addSingleCopy
    for (unsigned target : distinct) {
      targets.push_back(std::nullopt);
      targets.insert(targets.end(), ways - 1, target);
    }
  }
  std::vector<Cost> changed = *costs;
  for (auto [row, sharding] : llvm::enumerate(crossing.from->shardings))
    for (auto [column, target] : llvm::enumerate(targets))
      if (sharding == held && target == wanted)
        changed[row * columns + column] = kForbidden;
  return std::make_shared<std::vector<Cost>>(std::move(changed));
}

std::optional<solver::Problem>
ShardingProblem::under(const SearchDemands &demands) const {
  solver::Problem problem = built;
  for (auto [i, node] : llvm::enumerate(nodes)) {
    std::vector<Cost> &costs = problem.nodes[i].costs;
    for (unsigned value = 0; value < costs.size(); ++value)
      if (!allows(node, value, demands))
        costs[value] = kForbidden;
    if (llvm::all_of(costs, [](Cost cost) { return cost >= kForbidden; }))
      return std::nullopt;
  }
  for (const SearchDemands::Reshard &reshard : demands.without) {
    auto edges = crossings.find(reshard.value);
    if (edges == crossings.end())
      continue;
    for (const Crossing &crossing : edges->second) {
      const TensorSpace *tensors = crossing.from->space;
      auto held =
          tensors->index.find(canonical(reshard.from, tensors->shape, mesh));
      auto wanted =
          tensors->index.find(canonical(reshard.to, tensors->shape, mesh));
      if (held == tensors->index.end() || wanted == tensors->index.end())
        continue;
      CostTable &costs = problem.edges[crossing.edge].costs;
      costs = without(costs, crossing, held->second, wanted->second);
    }
  }
  return problem;
}

std::optional<solver::Choice>
ShardingProblem::nearest(const solver::Problem &problem,
                         const Assignment &assignment) const {
  solver::Choice found(nodes.size(), 0);
  for (auto [i, node] : llvm::enumerate(nodes)) {
    if (node.kind == NodeInfo::Copy)
      continue;
    const std::vector<Cost> &costs = problem.nodes[i].costs;
    std::optional<unsigned> own = valueOf(node, assignment);
    found[i] =
        own && costs[*own] < kForbidden
            ? *own
            : std::min_element(costs.begin(), costs.end()) - costs.begin();
  }
  return withCopies(problem, std::move(found));
}
