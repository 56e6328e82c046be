//===- StrategyChooser.cpp - Operation by operation -----------------------===//

#include "StrategyChooser.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include <limits>

using namespace mlir;
using namespace tpc;

static RankedTensorType type(Value value) {
  return cast<RankedTensorType>(value.getType());
}

ShardingAttr tpc::pinnedSharding(Operation *symbol) {
  return symbol->getAttrOfType<ShardingAttr>(kShardingAttrName);
}

bool tpc::isMadeAnywhere(Operation *op) {
  if (op->getNumOperands() != 0 || !isa<ShardingRuleOpInterface>(op))
    return false;
  ShardingRule rule = cast<ShardingRuleOpInterface>(op).getShardingRule();
  return llvm::none_of(rule.factors, [](const Factor &factor) {
    return factor.kind == FactorKind::Whole && factor.size > 1;
  });
}

double tpc::stateChangeBytes(AxisState from, AxisState to, double bytes,
                             int64_t members) {
  if (from == to || from.kind == AxisState::Replicated)
    return 0;
  double share = bytes * (members - 1) / members;
  if (from.kind == AxisState::Partial)
    return 2 * share;
  return to.kind == AxisState::Split ? share / members : share;
}

double tpc::operandBytes(const UseQuery &query, const Mesh &mesh) {
  double sum = 0;
  for (auto [i, held] : llvm::enumerate(query.held)) {
    if (!held)
      continue;
    sum += stateChangeBytes(stateOf(*held, query.axis),
                            operandState(query.ruled.rule, query.use, i),
                            tensorBytes(type(query.op->getOperand(i))),
                            mesh.size(query.axis));
  }
  return sum;
}

bool tpc::followsOperand(const UseQuery &query) {
  for (auto [i, held] : llvm::enumerate(query.held))
    if (held) {
      AxisState state = stateOf(*held, query.axis);
      if (state.kind == AxisState::Split &&
          state == operandState(query.ruled.rule, query.use, i))
        return true;
    }
  return false;
}

FailureOr<Assignment> StrategyChooser::assign(ModuleOp moduleOp,
                                              const Mesh &meshRef) {
  module = moduleOp;
  mesh = &meshRef;
  result = Assignment();
  if (failed(prepare(module, *mesh)))
    return failure();
  for (Operation &op : *module.getBody()) {
    if (!isa<ParameterOp, StateOp>(op))
      continue;
    auto name = SymbolTable::getSymbolName(&op);
    if (ShardingAttr pin = pinnedSharding(&op)) {
      if (auto problem = mesh->check(pin.getValue()))
        return op.emitError("pinned sharding: ") << *problem;
      Sharding sharding = pin.getValue();
      if (sharding.isPartial())
        return op.emitError("is pinned to a partial sharding, but what is "
                            "stored has no contributions");
      sharding.open.clear();
      result.symbols[name] = sharding;
    } else if (auto sharding = symbolSharding(name)) {
      result.symbols[name] = *sharding;
    }
  }
  for (auto function : module.getOps<func::FuncOp>())
    if (failed(assignFunction(function)))
      return failure();
  // Parameters and states that nothing reads are replicated.
  for (Operation &op : *module.getBody())
    if (isa<ParameterOp, StateOp>(op)) {
      auto tensor = isa<ParameterOp>(op) ? cast<ParameterOp>(op).getTensorType()
                                         : cast<StateOp>(op).getTensorType();
      result.symbols.try_emplace(
          SymbolTable::getSymbolName(&op),
          Sharding::replicated(mesh->symbol, tensor.getRank()));
    }
  return std::move(result);
}

LogicalResult StrategyChooser::assignFunction(func::FuncOp function) {
  if (function.isExternal() || !function.getBody().hasOneBlock())
    return function.emitError("expected a function of one block");
  for (BlockArgument argument : function.getArguments()) {
    if (!isa<RankedTensorType>(argument.getType()))
      return function.emitError("argument ")
             << argument.getArgNumber() << ": expected a ranked tensor, found "
             << argument.getType();
    auto pin = function.getArgAttrOfType<ShardingAttr>(argument.getArgNumber(),
                                                       kShardingAttrName);
    Sharding sharding =
        pin ? pin.getValue() : argumentSharding(argument, *mesh);
    if (auto problem = mesh->check(sharding))
      return function.emitError("argument ")
             << argument.getArgNumber() << ": pinned sharding: " << *problem;
    if (sharding.isPartial())
      return function.emitError("argument ")
             << argument.getArgNumber() << " is pinned to a partial sharding";
    sharding.open.clear();
    result.held[argument] = sharding;
  }
  for (Operation &op : function.getBody().front())
    if (failed(assignOp(&op)))
      return failure();
  return success();
}

LogicalResult StrategyChooser::assignOp(Operation *op) {
  if (auto read = dyn_cast<ReadOp>(op)) {
    auto known = result.symbols.find(read.getSymbolAttr().getAttr());
    if (known != result.symbols.end())
      result.held[read.getResult()] = known->second;
    return success();
  }
  if (auto write = dyn_cast<WriteOp>(op)) {
    // A state that nobody read is kept as it is made.
    auto held = result.held.find(write.getValue());
    Sharding stored = held != result.held.end() && !held->second.isPartial()
                          ? held->second
                          : Sharding::replicated(
                                mesh->symbol, type(write.getValue()).getRank());
    auto [it, fresh] =
        result.symbols.try_emplace(write.getSymbolAttr().getAttr(), stored);
    settle(write.getValue(), it->second);
    result.wanted[op] = {it->second};
    return success();
  }
  if (auto shard = dyn_cast<ShardOp>(op)) {
    Sharding pin = shard.getSharding().getValue();
    if (auto problem = mesh->check(pin))
      return op->emitOpError("pinned sharding: ") << *problem;
    pin.open.clear();
    settle(shard.getOperand(), pin);
    result.wanted[op] = {pin};
    result.held[shard.getResult()] = pin;
    return success();
  }
  if (auto ret = dyn_cast<func::ReturnOp>(op))
    return assignReturn(ret);
  if (!isa<ShardingRuleOpInterface>(op))
    return op->emitOpError("has no sharding rule; expected tpc operations in "
                           "an entry function");
  return assignRuled(op);
}

/// A value that takes any sharding for free so far: a parameter or state
/// before its first use, or what is made anew for every use.
bool StrategyChooser::isFree(Value value) const {
  if (value.getDefiningOp<ReadOp>())
    return !result.held.contains(value);
  Operation *op = value.getDefiningOp();
  return op && isMadeAnywhere(op);
}

/// Decides the sharding of a free value by its first use.
void StrategyChooser::settle(Value value, const Sharding &wanted) {
  auto read = value.getDefiningOp<ReadOp>();
  if (!read || result.held.contains(value))
    return;
  // What is stored is never partial: a partial use keeps it on one device.
  Sharding stored = wanted;
  stored.partial.clear();
  auto [it, fresh] =
      result.symbols.try_emplace(read.getSymbolAttr().getAttr(), stored);
  result.held[value] = it->second;
}

/// Splitting a single element leaves the others with nothing but padding.
static bool splitsOneElement(const ShardingRule &rule, AxisUse use) {
  return use.kind == AxisUse::Split && rule.factors[use.index].size <= 1;
}

/// Whether the strategy can be lowered: a composite that is split along a
/// synchronized factor is expanded, which partial values do not survive.
static bool canLower(const ShardingRule &rule, const Strategy &strategy,
                     const OpShardings &shardings) {
  auto isPartial = [](const Sharding &sharding) {
    return sharding.isPartial();
  };
  return !splits(rule, strategy, FactorKind::Synchronized) ||
         (llvm::none_of(shardings.operands, isPartial) &&
          llvm::none_of(shardings.results, isPartial));
}

Strategy StrategyChooser::choose(Operation *op, const RuledOp &ruled) {
  SmallVector<std::optional<Sharding>, 0> held;
  SmallVector<bool> isParameter;
  for (Value operand : op->getOperands()) {
    auto read = operand.getDefiningOp<ReadOp>();
    isParameter.push_back(
        read && isa_and_nonnull<ParameterOp>(
                    SymbolTable::lookupSymbolIn(module, read.getSymbolAttr())));
    if (isFree(operand))
      held.push_back(std::nullopt);
    else
      held.push_back(result.held.lookup(operand));
  }
  SmallVector<AxisUse> uses = possibleUses(ruled.rule);
  Strategy strategy;
  for (const AxisRef &axis : mesh->axes()) {
    if (mesh->size(axis) == 1)
      continue;
    double best = std::numeric_limits<double>::infinity();
    std::optional<AxisUse> chosen;
    for (AxisUse use : uses) {
      double c = cost({op, ruled, axis, use, held, isParameter}, *mesh);
      if (c >= best || splitsOneElement(ruled.rule, use))
        continue;
      Strategy extended = strategy;
      extended.push_back({axis, use});
      auto shardings = applyStrategy(ruled, extended, *mesh);
      if (!shardings || !canLower(ruled.rule, extended, *shardings))
        continue;
      best = c;
      chosen = use;
    }
    if (chosen && chosen->kind != AxisUse::Replicate)
      strategy.push_back({axis, *chosen});
  }
  return strategy;
}

LogicalResult StrategyChooser::assignRuled(Operation *op) {
  RuledOp ruled = RuledOp::of(op);
  Strategy strategy = choose(op, ruled);
  std::optional<OpShardings> shardings = applyStrategy(ruled, strategy, *mesh);
  for (auto [operand, wanted] :
       llvm::zip_equal(op->getOperands(), shardings->operands))
    settle(operand, wanted);
  for (auto [value, sharding] :
       llvm::zip_equal(op->getResults(), shardings->results))
    result.held[value] = std::move(sharding);
  result.wanted[op] = std::move(shardings->operands);
  return success();
}

LogicalResult StrategyChooser::assignReturn(func::ReturnOp op) {
  auto function = cast<func::FuncOp>(op->getParentOp());
  SmallVector<Sharding, 3> wanted;
  for (auto [i, operand] : llvm::enumerate(op.getOperands())) {
    if (isFree(operand))
      settle(operand,
             Sharding::replicated(mesh->symbol, type(operand).getRank()));
    if (StringAttr like = heldLike(function, i)) {
      wanted.push_back(
          result.symbols
              .try_emplace(like, Sharding::replicated(mesh->symbol,
                                                      type(operand).getRank()))
              .first->second);
      continue;
    }
    auto pin = function.getResultAttrOfType<ShardingAttr>(i, kShardingAttrName);
    Sharding sharding = pin ? pin.getValue() : result.held.lookup(operand);
    if (auto problem = mesh->check(sharding))
      return op.emitOpError("result ")
             << i << ": pinned sharding: " << *problem;
    // A result leaves the program whole or in blocks, never partial.
    if (pin && sharding.isPartial())
      return op.emitOpError("result ")
             << i << " is pinned to a partial sharding";
    sharding.partial.clear();
    sharding.open.clear();
    wanted.push_back(std::move(sharding));
  }
  result.wanted[op] = std::move(wanted);
  return success();
}
