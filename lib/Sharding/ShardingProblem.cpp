//===- ShardingProblem.cpp - A module's choice as data --------------------===//

#include "ShardingProblem.h"
#include "ShardingProblemParts.h"
#include "Ties.h"
#include <cmath>
#include <limits>
#include <map>

using namespace mlir;
using namespace tpc;
using solver::Choice;
using solver::Cost;
using solver::CostTable;
using solver::kForbidden;

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

struct ShardingProblem::Tables {
  std::map<std::pair<std::vector<int64_t>, int64_t>,
           std::unique_ptr<TensorSpace>>
      spaces;
  std::map<std::tuple<TensorSpace *, std::vector<unsigned>, bool>,
           std::unique_ptr<Port>>
      ports;
  std::map<std::tuple<const Port *, const Port *, double, size_t>, CostTable>
      reshards;
  std::map<std::pair<const Port *, const Port *>, CostTable> equal;
  std::map<std::tuple<Tie::Kind, const StrategySpace::Strategies *,
                      const StrategySpace::Strategies *, std::vector<unsigned>,
                      std::vector<unsigned>>,
           CostTable>
      ties;
  /// To and from (value, target) nodes.
  std::map<std::tuple<const Port *, unsigned, double, size_t>, CostTable>
      making;
  std::map<std::tuple<const Port *, unsigned, size_t>, CostTable> needing;
  std::map<std::tuple<const Port *, const Port *, double>, CostTable> copying;
  std::map<const Port *, CostTable> taking;
  /// Ports of the operations that share a list of strategies and may take the
  /// same of them.
  struct OpPorts {
    SmallVector<const Port *, 3> wants;
    SmallVector<const Port *, 1> gives;
  };
  std::map<std::pair<const StrategySpace::Strategies *, std::vector<unsigned>>,
           OpPorts>
      opPorts;
};

ShardingProblem::ShardingProblem(ModuleOp module, StrategySpace &space,
                                 ReshardPlanner &planner, const PinTable &pins,
                                 const AssignOptions &options)
    : module(module), space(space), planner(planner),
      mesh(planner.getCosts().getMesh()), pins(pins), options(options),
      tables(std::make_unique<Tables>()) {}
ShardingProblem::~ShardingProblem() = default;

Cost ShardingProblem::toCost(double micros) const {
  return std::llround(std::min(micros * weight * 1e6, 1e17));
}

ShardingProblem::TensorSpace *ShardingProblem::tensorSpace(Type type) {
  auto tensor = cast<RankedTensorType>(type);
  int64_t bytes = elementBytes(tensor.getElementType());
  auto &known = tables->spaces[{tensor.getShape().vec(), bytes}];
  if (!known) {
    known = std::make_unique<TensorSpace>();
    known->shape = SmallVector<int64_t>(tensor.getShape());
    known->elementBytes = bytes;
  }
  return known.get();
}

const ShardingProblem::Port *
ShardingProblem::port(TensorSpace *tensors, std::vector<unsigned> shardings,
                      bool isFree) {
  auto &known = tables->ports[{tensors, shardings, isFree}];
  if (!known)
    known = std::make_unique<Port>(Port{tensors, std::move(shardings), isFree});
  return known.get();
}

const ShardingProblem::Port *
ShardingProblem::port(Type type, ArrayRef<Sharding> shardings, bool isFree) {
  TensorSpace *tensors = tensorSpace(type);
  std::vector<unsigned> numbers;
  for (const Sharding &sharding : shardings)
    numbers.push_back(
        tensors->number(canonical(sharding, tensors->shape, mesh), mesh));
  return port(tensors, std::move(numbers), isFree);
}

unsigned ShardingProblem::addNode(NodeInfo info, std::vector<Cost> costs) {
  built.parts.push_back(info.kind == NodeInfo::Symbol ? solver::Problem::kShared
                                                      : part);
  nodes.push_back(std::move(info));
  built.nodes.push_back({std::move(costs), {}});
  return nodes.size() - 1;
}

void ShardingProblem::addEdge(unsigned from, unsigned to, CostTable costs) {
  built.edges.push_back({from, to, std::move(costs)});
}

void ShardingProblem::addMemory(unsigned node, const Port *port, int64_t begin,
                                int64_t end) {
  if (!withMemory)
    return;
  solver::MemoryUse use{{begin, end}, {}};
  for (unsigned sharding : port->shardings)
    use.bytes.push_back(port->space->localBytes[sharding]);
  built.nodes[node].memory.push_back(std::move(use));
}

//===----------------------------------------------------------------------===//
// Nodes
//===----------------------------------------------------------------------===//

const ShardingProblem::Port *ShardingProblem::port(const Place &place) {
  std::vector<Sharding> allowed;
  for (Sharding &sharding :
       pins.candidates(place, space.storedShardings(place.type.getShape())))
    if (pins.allows(place, sharding, activePins))
      allowed.push_back(std::move(sharding));
  return port(place.type, allowed);
}

LogicalResult ShardingProblem::build(bool memory, const llvm::BitVector &pins) {
  withMemory = memory;
  activePins = pins;
  built = solver::Problem();
  nodes.clear();
  makers.clear();
  uses.clear();
  crossings.clear();
  times.clear();
  symbolNodes.clear();
  time = 0;
  part = 0;
  if (withMemory)
    built.memoryLimit = options.memoryLimit;
  addSymbols();
  for (auto function : module.getOps<func::FuncOp>()) {
    if (failed(addFunction(function)))
      return failure();
    ++part;
  }
  for (auto &[name, node] : symbolNodes)
    addMemory(node, nodes[node].gives[0], 0, time);
  return success();
}

void ShardingProblem::addSymbols() {
  for (Operation &op : *module.getBody()) {
    if (!isa<ParameterOp, StateOp>(op))
      continue;
    const Port *gives = port(pins.of(&op));
    size_t count = gives->shardings.size();
    NodeInfo info{NodeInfo::Symbol, &op};
    info.gives.push_back(gives);
    symbolNodes[SymbolTable::getSymbolName(&op)] =
        addNode(std::move(info), std::vector<Cost>(count, 0));
  }
}

LogicalResult ShardingProblem::addFunction(func::FuncOp function) {
  weight = options.weightOf(function.getName());
  int64_t begin = time;
  for (BlockArgument argument : function.getArguments())
    addArgument(argument);
  Block &body = function.getBody().front();
  for (Operation &op : body) {
    times[&op] = time;
    if (failed(addOp(&op)))
      return failure();
    ++time;
  }
  for (BlockArgument argument : function.getArguments()) {
    const Maker maker = makers.find(argument)->second;
    addMemory(maker.node, maker.port, begin, time);
    addUses(argument, uses.lookup(argument));
  }
  for (Operation &op : body)
    for (Value result : op.getResults())
      addUses(result, uses.lookup(result));
  for (const Tie &tie : findTies(function))
    addTie(tie);
  return success();
}

void ShardingProblem::addArgument(BlockArgument argument) {
  auto function = cast<func::FuncOp>(argument.getOwner()->getParentOp());
  unsigned index = argument.getArgNumber();
  const Port *gives = port(pins.ofArgument(function, index));
  NodeInfo info{NodeInfo::Argument, function, argument, index};
  info.gives.push_back(gives);
  unsigned node =
      addNode(std::move(info), std::vector<Cost>(gives->shardings.size(), 0));
  makers[argument] = {node, gives};
}

LogicalResult ShardingProblem::addOp(Operation *op) {
  if (auto read = dyn_cast<ReadOp>(op)) {
    unsigned node = symbolNodes.lookup(read.getSymbolAttr().getAttr());
    makers[read.getResult()] = {node, nodes[node].gives[0]};
    return success();
  }
  if (auto write = dyn_cast<WriteOp>(op)) {
    unsigned node = symbolNodes.lookup(write.getSymbolAttr().getAttr());
    uses[write.getValue()].push_back({node, nodes[node].gives[0], time});
    return success();
  }
  if (!isa<ShardOp, func::ReturnOp, ShardingRuleOpInterface>(op))
    return op->emitOpError("has no sharding rule; expected tpc operations in "
                           "an entry function");
  if (auto shard = dyn_cast<ShardOp>(op))
    addShard(shard);
  else if (auto ret = dyn_cast<func::ReturnOp>(op))
    addReturn(ret);
  else
    addRuled(op);
  return success();
}

std::vector<unsigned> ShardingProblem::allowedStrategies(
    Operation *op, const StrategySpace::Strategies &strategies) const {
  std::vector<unsigned> allowed;
  for (unsigned i = 0; i < strategies.size(); ++i)
    if (pins.allows(op, strategies[i].shardings, activePins))
      allowed.push_back(i);
  return allowed;
}

void ShardingProblem::addRuled(Operation *op) {
  const StrategySpace::Strategies &strategies = space.of(op);
  std::vector<unsigned> allowed = allowedStrategies(op, strategies);
  bool isFree = isMadeAnywhere(op);
  auto [known, fresh] = tables->opPorts.try_emplace({&strategies, allowed});
  if (fresh) {
    auto collect = [&](auto select, Type type) {
      std::vector<Sharding> shardings;
      for (unsigned i : allowed)
        shardings.push_back(select(strategies[i]));
      return port(type, shardings, isFree);
    };
    for (unsigned i = 0; i < op->getNumOperands(); ++i)
      known->second.wants.push_back(collect(
          [&](const PricedStrategy &s) { return s.shardings.operands[i]; },
          op->getOperand(i).getType()));
    for (unsigned i = 0; i < op->getNumResults(); ++i)
      known->second.gives.push_back(collect(
          [&](const PricedStrategy &s) { return s.shardings.results[i]; },
          op->getResult(i).getType()));
  }
  std::vector<Cost> costs;
  for (unsigned i : allowed)
    costs.push_back(isFree ? 0
                           : toCost(strategies[i].computeMicros +
                                    strategies[i].communicationMicros));
  NodeInfo info{NodeInfo::Op, op};
  info.gives = known->second.gives;
  info.wants = known->second.wants;
  unsigned node = addNode(std::move(info), std::move(costs));
  for (auto [value, gives] :
       llvm::zip_equal(op->getResults(), known->second.gives))
    makers[value] = {node, gives};
  for (auto [operand, wants] :
       llvm::zip_equal(op->getOperands(), known->second.wants))
    uses[operand].push_back({node, wants, time});
}

void ShardingProblem::addShard(ShardOp op) {
  const Port *both = port(pins.of(op));
  NodeInfo info{NodeInfo::Shard, op};
  info.gives.push_back(both);
  info.wants.push_back(both);
  unsigned node =
      addNode(std::move(info), std::vector<Cost>(both->shardings.size(), 0));
  makers[op.getResult()] = {node, both};
  uses[op.getOperand()].push_back({node, both, time});
}

void ShardingProblem::addReturn(func::ReturnOp op) {
  auto function = cast<func::FuncOp>(op->getParentOp());
  for (auto [i, operand] : llvm::enumerate(op.getOperands())) {
    if (StringAttr like = heldLike(function, i)) {
      unsigned node = symbolNodes.lookup(like);
      uses[operand].push_back({node, nodes[node].gives[0], time});
      continue;
    }
    const Port *wants = port(pins.ofResult(function, i));
    NodeInfo info{NodeInfo::Result, op, Value(), unsigned(i)};
    info.wants.push_back(wants);
    unsigned node =
        addNode(std::move(info), std::vector<Cost>(wants->shardings.size(), 0));
    uses[operand].push_back({node, wants, time});
  }
}

//===----------------------------------------------------------------------===//
// Edges
//===----------------------------------------------------------------------===//

void ShardingProblem::addTie(const Tie &tie) {
  const auto &first = space.of(tie.first), &second = space.of(tie.second);
  std::vector<unsigned> ofFirst = allowedStrategies(tie.first, first),
                        ofSecond = allowedStrategies(tie.second, second);
  CostTable &table =
      tables->ties[{tie.kind, &first, &second, ofFirst, ofSecond}];
  if (!table) {
    std::vector<Cost> costs;
    for (unsigned a : ofFirst)
      for (unsigned b : ofSecond)
        costs.push_back(areTied(tie, first[a].shardings, second[b].shardings)
                            ? 0
                            : kForbidden);
    table = std::make_shared<std::vector<Cost>>(std::move(costs));
  }
  auto nodeOf = [&](Operation *op) {
    return makers.find(op->getResult(0))->second.node;
  };
  addEdge(nodeOf(tie.first), nodeOf(tie.second), table);
}

/// Whether a value takes memory of its own, in the sharding in which it is
/// held: not if it is stored, or only replaces a state in place. What can be
/// made anywhere takes memory where it is wanted.
static bool takesMemory(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || isa<ReadOp>(op) || isMadeAnywhere(op))
    return false;
  return value.use_empty() || !llvm::all_of(value.getUsers(), [](Operation *o) {
           return isa<WriteOp>(o);
         });
}

/// Whether a value is not resharded, because that is never cheaper than before
/// the operation that makes it or after the one that uses it: both compute
/// elements from elements, and what comes after takes no more bytes.
bool ShardingProblem::staysAsItIs(Value value) {
  Operation *maker = value.getDefiningOp();
  if (!maker || !value.hasOneUse() || isMadeAnywhere(maker))
    return false;
  Operation *user = *value.user_begin();
  return space.isPointwise(maker) && space.isPointwise(user) &&
         elementBytes(getElementTypeOrSelf(user->getResult(0))) <=
             elementBytes(getElementTypeOrSelf(value));
}

void ShardingProblem::addUses(Value value, ArrayRef<User> users) {
  const Maker maker = makers.find(value)->second;
  if (takesMemory(value)) {
    int64_t begin = times.lookup(value.getDefiningOp());
    int64_t end = users.empty() ? begin : users.back().time;
    addMemory(maker.node, maker.port, begin, end + 1);
  }
  if (staysAsItIs(value)) {
    addEdge(maker.node, users[0].node, equalTable(maker.port, users[0].port));
    return;
  }
  // Elementwise operations read a value in one sharding.
  const User *first = nullptr;
  for (const User &user : users) {
    const NodeInfo &node = nodes[user.node];
    if (node.kind != NodeInfo::Op || !space.isPointwise(node.op))
      continue;
    if (!first)
      first = &user;
    else if (first->node != user.node)
      addEdge(first->node, user.node, equalTable(first->port, user.port));
  }
  if (users.size() > kManyUsers)
    for (const User &user : users) {
      if (user.node == maker.node) // a state that is written as it was read
        continue;
      addEdge(maker.node, user.node,
              reshardTable(maker.port, user.port, users.size()));
      addCrossing(value, maker, user.port);
    }
  else if (users.size() > 1)
    addCopies(maker, users, value);
  else if (users.size() == 1 && withMemory)
    addSingleCopy(maker, users[0], value);
  else if (users.size() == 1 && users[0].node != maker.node) {
    addEdge(maker.node, users[0].node, reshardTable(maker.port, users[0].port));
    addCrossing(value, maker, users[0].port);
  }
}

/// The last edge prices reshards of `value`.
void ShardingProblem::addCrossing(Value value, const Maker &maker,
                                  const Port *to, unsigned target) {
  crossings[value].push_back(
      {unsigned(built.edges.size() - 1), maker.port, to, target});
}

double ShardingProblem::micros(const Port *from, unsigned held,
                               unsigned wanted) {
  if (from->isFree && !from->space->shardings[wanted].isPartial())
    return 0;
  return from->space->between(held, wanted, planner);
}

CostTable ShardingProblem::equalTable(const Port *from, const Port *to) {
  CostTable &table = tables->equal[{from, to}];
  if (table)
    return table;
  std::vector<Cost> costs;
  for (unsigned held : from->shardings)
    for (unsigned wanted : to->shardings)
      costs.push_back(held == wanted ? 0 : kForbidden);
  return table = std::make_shared<std::vector<Cost>>(std::move(costs));
}

CostTable ShardingProblem::reshardTable(const Port *from, const Port *to,
                                        size_t shares) {
  CostTable &table = tables->reshards[{from, to, weight, shares}];
  if (table)
    return table;
  std::vector<Cost> costs;
  costs.reserve(from->shardings.size() * to->shardings.size());
  for (unsigned held : from->shardings)
    for (unsigned wanted : to->shardings)
      costs.push_back(toCost(micros(from, held, wanted)) / Cost(shares));
  return table = std::make_shared<std::vector<Cost>>(std::move(costs));
}

/// When a copy for these users is live. What is made anywhere may stay where
/// it was made.
solver::Interval ShardingProblem::copyLives(const Maker &maker,
                                            ArrayRef<User> users,
                                            Value value) const {
  int64_t begin = maker.port->isFree ? times.lookup(value.getDefiningOp())
                                     : users.front().time;
  return {begin, users.back().time + 1};
}

/// Values of a (value, target) node: 0 not made, 1 made. With memory "made" is
/// taken apart: 1 the value itself, which is held so, 2 a copy.
void ShardingProblem::addCopies(const Maker &maker, ArrayRef<User> users,
                                Value value) {
  SmallVector<const Port *> ports;
  for (const User &user : users)
    ports.push_back(user.port);
  size_t kinds = withMemory ? 3 : 2;
  for (unsigned target : distinctTargets(ports)) {
    NodeInfo info{NodeInfo::Copy, nullptr, value, target};
    unsigned node = addNode(std::move(info), std::vector<Cost>(kinds, 0));
    if (withMemory)
      built.nodes[node].memory.push_back(
          {copyLives(maker, users, value),
           {0, 0, maker.port->space->localBytes[target]}});
    CostTable &making = tables->making[{maker.port, target, weight, kinds}];
    if (!making) {
      std::vector<Cost> costs;
      for (unsigned held : maker.port->shardings) {
        double price = micros(maker.port, held, target);
        bool same = held == target && !maker.port->isFree;
        costs.push_back(0);
        if (withMemory)
          costs.push_back(same ? 0 : kForbidden);
        costs.push_back(withMemory && same ? kForbidden : toCost(price));
      }
      making = std::make_shared<std::vector<Cost>>(std::move(costs));
    }
    addEdge(maker.node, node, making);
    addCrossing(value, maker, nullptr, target);
    for (const User &user : users) {
      if (!llvm::is_contained(user.port->shardings, target))
        continue;
      CostTable &needing = tables->needing[{user.port, target, kinds}];
      if (!needing) {
        std::vector<Cost> costs;
        for (unsigned wanted : user.port->shardings) {
          costs.push_back(wanted == target ? kForbidden : 0);
          costs.insert(costs.end(), kinds - 1, 0);
        }
        needing = std::make_shared<std::vector<Cost>>(std::move(costs));
      }
      addEdge(user.node, node, needing);
    }
  }
}

/// Values 2i and 2i + 1 of the node: the user wants target i, and takes the
/// value itself or a copy.
void ShardingProblem::addSingleCopy(const Maker &maker, const User &user,
                                    Value value) {
  std::vector<unsigned> targets =
      distinctTargets(ArrayRef<const Port *>(user.port));
  NodeInfo info{NodeInfo::Copy, nullptr, value, kSingleCopy};
  unsigned node =
      addNode(std::move(info), std::vector<Cost>(2 * targets.size(), 0));
  solver::MemoryUse memory{copyLives(maker, user, value), {}};
  for (unsigned target : targets) {
    memory.bytes.push_back(0);
    memory.bytes.push_back(maker.port->space->localBytes[target]);
  }
  built.nodes[node].memory.push_back(std::move(memory));
  CostTable &copying = tables->copying[{maker.port, user.port, weight}];
  if (!copying) {
    std::vector<Cost> costs;
    for (unsigned held : maker.port->shardings)
      for (unsigned target : targets) {
        double price = micros(maker.port, held, target);
        bool same = held == target && !maker.port->isFree;
        costs.push_back(same ? 0 : kForbidden);
        costs.push_back(same ? kForbidden : toCost(price));
      }
    copying = std::make_shared<std::vector<Cost>>(std::move(costs));
  }
  addEdge(maker.node, node, copying);
  addCrossing(value, maker, user.port);
  CostTable &taking = tables->taking[user.port];
  if (!taking) {
    std::vector<Cost> costs;
    for (unsigned target : targets)
      for (unsigned way = 0; way < 2; ++way)
        for (unsigned wanted : user.port->shardings)
          costs.push_back(wanted == target ? 0 : kForbidden);
    taking = std::make_shared<std::vector<Cost>>(std::move(costs));
  }
  addEdge(node, user.node, taking);
}

//===----------------------------------------------------------------------===//
// Choices and assignments
//===----------------------------------------------------------------------===//

const Sharding &ShardingProblem::chosen(const Port *port,
                                        unsigned value) const {
  return port->space->shardings[port->shardings[value]];
}

Assignment ShardingProblem::assignment(const Choice &choice) const {
  Assignment result;
  std::map<std::pair<Operation *, unsigned>, Sharding> results;
  for (auto [i, node] : llvm::enumerate(nodes)) {
    unsigned value = choice[i];
    switch (node.kind) {
    case NodeInfo::Symbol:
      result.symbols[SymbolTable::getSymbolName(node.op)] =
          chosen(node.gives[0], value);
      break;
    case NodeInfo::Argument:
      result.held[node.value] = chosen(node.gives[0], value);
      break;
    case NodeInfo::Op:
    case NodeInfo::Shard: {
      for (auto [result_, port] :
           llvm::zip_equal(node.op->getResults(), node.gives))
        result.held[result_] = chosen(port, value);
      auto &wanted = result.wanted[node.op];
      for (const Port *port : node.wants)
        wanted.push_back(chosen(port, value));
      break;
    }
    case NodeInfo::Result:
      results[{node.op, node.index}] = chosen(node.wants[0], value);
      break;
    case NodeInfo::Copy:
      break;
    }
  }
  for (auto function : ModuleOp(module).getOps<func::FuncOp>())
    for (Operation &op : function.getBody().front()) {
      if (auto read = dyn_cast<ReadOp>(op))
        result.held[read.getResult()] =
            result.symbols.lookup(read.getSymbolAttr().getAttr());
      if (auto write = dyn_cast<WriteOp>(op))
        result.wanted[write] = {
            result.symbols.lookup(write.getSymbolAttr().getAttr())};
      if (!isa<func::ReturnOp>(op))
        continue;
      auto &wanted = result.wanted[&op];
      for (unsigned i = 0; i < op.getNumOperands(); ++i) {
        StringAttr like = heldLike(function, i);
        wanted.push_back(like ? result.symbols.lookup(like)
                              : results.at({&op, i}));
      }
    }
  return result;
}

std::optional<unsigned>
ShardingProblem::valueOf(const NodeInfo &node,
                         const Assignment &assignment) const {
  auto holds = [&](const Port *port, const Sharding &sharding, unsigned value) {
    return chosen(port, value) == canonical(sharding, port->space->shape, mesh);
  };
  const Port *any = node.gives.empty() ? node.wants[0] : node.gives[0];
  for (unsigned value = 0; value < any->shardings.size(); ++value) {
    bool fits = true;
    switch (node.kind) {
    case NodeInfo::Symbol:
      fits = holds(
          any, assignment.symbols.lookup(SymbolTable::getSymbolName(node.op)),
          value);
      break;
    case NodeInfo::Argument:
      fits = holds(any, assignment.held.lookup(node.value), value);
      break;
    case NodeInfo::Result:
      fits = holds(any, assignment.wanted.lookup(node.op)[node.index], value);
      break;
    case NodeInfo::Op:
    case NodeInfo::Shard:
      for (auto [result, port] :
           llvm::zip_equal(node.op->getResults(), node.gives))
        fits = fits && holds(port, assignment.held.lookup(result), value);
      for (auto [wanted, port] :
           llvm::zip_equal(assignment.wanted.lookup(node.op), node.wants))
        fits = fits && holds(port, wanted, value);
      break;
    case NodeInfo::Copy:
      return std::nullopt;
    }
    if (fits)
      return value;
  }
  return std::nullopt;
}

std::optional<Choice>
ShardingProblem::choice(const Assignment &assignment) const {
  Choice found(nodes.size(), 0);
  for (auto [i, node] : llvm::enumerate(nodes)) {
    if (node.kind == NodeInfo::Copy)
      continue;
    std::optional<unsigned> value = valueOf(node, assignment);
    if (!value)
      return std::nullopt;
    found[i] = *value;
  }
  return withCopies(built, std::move(found));
}

std::optional<Choice> ShardingProblem::replicated() const {
  return withCopies(built, Choice(nodes.size(), 0));
}

/// Copies follow from the rest: the first value that nothing forbids.
std::optional<Choice>
ShardingProblem::withCopies(const solver::Problem &problem,
                            Choice found) const {
  std::vector<SmallVector<const solver::Edge *, 3>> edges(nodes.size());
  for (const solver::Edge &edge : problem.edges) {
    edges[edge.from].push_back(&edge);
    edges[edge.to].push_back(&edge);
  }
  auto allowed = [&](unsigned node) {
    return llvm::all_of(edges[node], [&](const solver::Edge *edge) {
      return (*edge->costs)[found[edge->from] * built.numValues(edge->to) +
                            found[edge->to]] < kForbidden;
    });
  };
  for (unsigned i = 0; i < nodes.size(); ++i) {
    if (nodes[i].kind != NodeInfo::Copy)
      continue;
    while (!allowed(i))
      if (++found[i] == built.numValues(i))
        return std::nullopt;
  }
  return found;
}
