//===- ShardingProblem.cpp - A module's choice as data --------------------===//

#include "ShardingProblem.h"
#include "ShardingProblemParts.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace tpc;
using solver::Choice;
using solver::Cost;
using solver::CostTable;
using solver::kForbidden;

//===----------------------------------------------------------------------===//
// Data
//===----------------------------------------------------------------------===//

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
                      bool isFree, unsigned firstAgain) {
  auto &known = tables->ports[{tensors, shardings, isFree, firstAgain}];
  if (!known)
    known = std::make_unique<Port>(
        Port{tensors, std::move(shardings), isFree, firstAgain});
  return known.get();
}

const ShardingProblem::Port *ShardingProblem::port(Type type,
                                                   ArrayRef<Sharding> shardings,
                                                   bool isFree,
                                                   unsigned firstAgain) {
  TensorSpace *tensors = tensorSpace(type);
  std::vector<unsigned> numbers;
  for (const Sharding &sharding : shardings)
    numbers.push_back(
        tensors->number(canonical(sharding, tensors->shape, mesh), mesh));
  return port(tensors, std::move(numbers), isFree, firstAgain);
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

void ShardingProblem::addMemory(unsigned node, const Port *port,
                                solver::Interval live, Counted counted) {
  if (!withMemory)
    return;
  solver::MemoryUse use{live, {}};
  for (auto [value, sharding] : llvm::enumerate(port->shardings)) {
    bool counts = counted == Always ||
                  port->isAgain(value) == (counted == IfComputedAgain);
    use.bytes.push_back(counts ? port->space->localBytes[sharding] : 0);
  }
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
  llvm::DenseSet<StringAttr> trained = trainedParameters(module);
  for (auto &[name, node] : symbolNodes) {
    const Port *port = nodes[node].gives[0];
    addMemory(node, port, {0, time});
    if (!withMemory || !options.optimizerBytes || !trained.contains(name))
      continue;
    solver::MemoryUse kept = built.nodes[node].memory.back();
    for (int64_t &bytes : kept.bytes)
      bytes = bytes / port->space->elementBytes * options.optimizerBytes;
    built.nodes[node].memory.push_back(std::move(kept));
  }
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
  int64_t begin = functionBegin = time;
  recomputation.reset();
  if (withMemory)
    recomputation.emplace(function);
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
    addMemory(maker.node, maker.port, {begin, time});
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

/// The strategies that are an operation's values: twice where it may be
/// computed again.
std::vector<unsigned> ShardingProblem::valuesOf(Operation *op) {
  std::vector<unsigned> values = allowedStrategies(op, space.of(op));
  if (recomputation &&
      (recomputation->timeAgain(op) || recomputation->mayBeKept(op))) {
    std::vector<unsigned> again = values;
    values.insert(values.end(), again.begin(), again.end());
  }
  return values;
}

void ShardingProblem::addRuled(Operation *op) {
  const StrategySpace::Strategies &strategies = space.of(op);
  std::vector<unsigned> allowed = valuesOf(op);
  bool isFree = isMadeAnywhere(op);
  bool isRemade = recomputation && recomputation->timeAgain(op);
  bool isKept = recomputation && recomputation->mayBeKept(op);
  unsigned firstAgain = isRemade || isKept ? allowed.size() / 2 : ~0u;
  auto [known, fresh] = tables->opPorts.try_emplace({&strategies, allowed});
  if (fresh) {
    auto collect = [&](auto select, Type type) {
      std::vector<Sharding> shardings;
      for (unsigned i : allowed)
        shardings.push_back(select(strategies[i]));
      return port(type, shardings, isFree, firstAgain);
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
  bool isReadBefore = llvm::any_of(op->getUsers(), [&](Operation *user) {
    return recomputation && recomputation->isForward(user);
  });
  std::vector<Cost> costs;
  for (auto [value, i] : llvm::enumerate(allowed)) {
    Cost once = isFree ? 0
                       : toCost(strategies[i].computeMicros +
                                strategies[i].communicationMicros);
    // What nobody else reads is not computed twice, but later.
    bool twice = isRemade && value >= firstAgain && isReadBefore;
    costs.push_back(twice ? 2 * once : once);
  }
  NodeInfo info{NodeInfo::Op, op};
  info.isKept = isKept;
  info.gives = known->second.gives;
  info.wants = known->second.wants;
  unsigned node = addNode(std::move(info), std::move(costs));
  solver::MemoryUse workspace{{time, time + 1}, {}};
  for (unsigned i : allowed)
    workspace.bytes.push_back(strategies[i].workspaceBytes);
  if (withMemory && llvm::any_of(workspace.bytes, [](int64_t n) { return n; }))
    built.nodes[node].memory.push_back(std::move(workspace));
  for (auto [value, gives] :
       llvm::zip_equal(op->getResults(), known->second.gives))
    makers[value] = {node, gives};
  for (auto [operand, wants] :
       llvm::zip_equal(op->getOperands(), known->second.wants))
    uses[operand].push_back({node, wants, time});
  if (isRemade)
    addAgain(op, node);
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
// Choices and assignments
//===----------------------------------------------------------------------===//

const Sharding &ShardingProblem::chosen(const Port *port,
                                        unsigned value) const {
  return port->space->shardings[port->shardings[value]];
}

std::optional<unsigned> ShardingProblem::resentTo(unsigned copy,
                                                  unsigned value) const {
  const NodeInfo &node = nodes[copy];
  unsigned kinds = built.numValues(copy);
  if (node.index != kSingleCopy)
    return kinds == 4 && value == 3 ? std::optional(node.index) : std::nullopt;
  std::vector<unsigned> targets = distinctTargets(ArrayRef(node.wants));
  unsigned ways = kinds / targets.size();
  return ways == 3 && value % ways == 2 ? std::optional(targets[value / ways])
                                        : std::nullopt;
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
      if (!node.isKept && node.gives[0]->isAgain(value))
        result.again.insert(node.op);
      break;
    }
    case NodeInfo::Result:
      results[{node.op, node.index}] = chosen(node.wants[0], value);
      break;
    case NodeInfo::Copy:
      if (std::optional<unsigned> target = resentTo(i, value))
        result.resentAgain[node.value].push_back(
            makers.find(node.value)->second.port->space->shardings[*target]);
      break;
    }
  }
  // What is computed again is sent again from there.
  for (Operation *op : result.again)
    for (Value made : op->getResults())
      result.resentAgain.erase(made);
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

bool ShardingProblem::isAgain(const NodeInfo &node,
                              const Assignment &assignment) {
  if (!node.isKept)
    return assignment.again.contains(node.op);
  return llvm::any_of(node.op->getUsers(), [&](Operation *user) {
    return assignment.again.contains(user);
  });
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
      fits = any->isAgain(value) == isAgain(node, assignment);
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
