//===- Propagation.cpp - Spreading the user's seeds -----------------------===//
//
// Pins spread through the rules, forwards and backwards. With @up pinned to
// [{}, {"tp"}]:
//
//   %h = matmul %x, @up  "m e, e f -> m f"     f is split: %h [{}, {"tp"}]
//   %a = gelu %h                               %a [{}, {"tp"}]
//   %y = matmul %a, @down "m f, f e -> m e"    f is split: @down [{"tp"}, {}],
//                                              %y partial, reduced once
//
// Every value has at most one split dimension per axis; the first seed to
// reach it decides. Afterwards every operation takes the use that moves the
// fewest bytes, preferring to split.
//
//===----------------------------------------------------------------------===//

#include "StrategyChooser.h"

using namespace mlir;
using namespace tpc;

namespace {

class PropagationAssigner : public StrategyChooser {
  LogicalResult prepare(ModuleOp module, const Mesh &mesh) override {
    desired.clear();
    module.walk([&](Operation *op) { seed(op, mesh); });
    // Forwards and backwards in turn until nothing changes: every round but
    // the last fixes the state of some value on some axis.
    bool changed = true;
    while (changed) {
      changed = false;
      SmallVector<Operation *> ops;
      module.walk([&](ShardingRuleOpInterface op) { ops.push_back(op); });
      for (Operation *op : ops)
        changed |= spread(op, mesh);
      for (Operation *op : llvm::reverse(ops))
        changed |= spread(op, mesh);
    }
    return success();
  }

  Sharding argumentSharding(BlockArgument argument, const Mesh &mesh) override {
    return desiredSharding(argument, mesh);
  }

  std::optional<Sharding> symbolSharding(StringAttr symbol) override {
    auto it = desired.find(symbol.getAsOpaquePointer());
    if (it == desired.end())
      return std::nullopt;
    return it->second;
  }

  double cost(const UseQuery &query, const Mesh &mesh) override {
    double bytes = operandBytes(query, mesh);
    // Of uses that move equally many bytes, the one that leaves the result as
    // its users want it, then one that splits, then passing through.
    for (auto [i, value] : llvm::enumerate(query.op->getResults())) {
      AxisState wanted = stateOf(desiredSharding(value, mesh), query.axis);
      if (resultState(query.ruled.rule, query.use, i) != wanted)
        bytes += 0.5;
    }
    switch (query.use.kind) {
    case AxisUse::Split:
      return followsOperand(query) ? bytes : bytes + 0.25;
    case AxisUse::PassThrough:
      return bytes + resultBytes(query, mesh) + sharedBytes(query, mesh) + 0.75;
    case AxisUse::Replicate:
      return bytes;
    }
    llvm_unreachable("unknown use");
  }

  /// Passing partial values through puts their reduction off; it pays where
  /// several become one, or large ones small.
  static double resultBytes(const UseQuery &query, const Mesh &mesh) {
    double sum = 0;
    for (Value value : query.op->getResults())
      sum +=
          stateChangeBytes({AxisState::Partial}, {AxisState::Replicated},
                           tensorBytes(cast<RankedTensorType>(value.getType())),
                           mesh.size(query.axis));
    return sum;
  }

  /// What others read as well is reduced for them in any case.
  static double sharedBytes(const UseQuery &query, const Mesh &mesh) {
    double sum = 0;
    for (auto [operand, held] :
         llvm::zip_equal(query.op->getOperands(), query.held))
      if (held && !operand.hasOneUse() &&
          stateOf(*held, query.axis).kind == AxisState::Partial)
        sum += stateChangeBytes(
            {AxisState::Partial}, {AxisState::Replicated},
            tensorBytes(cast<RankedTensorType>(operand.getType())),
            mesh.size(query.axis));
    return sum;
  }

  //===--------------------------------------------------------------------===//
  // Spreading
  //===--------------------------------------------------------------------===//

  /// Values that read one symbol share its sharding.
  static const void *keyOf(Value value) {
    if (auto read = value.getDefiningOp<ReadOp>())
      return read.getSymbolAttr().getAttr().getAsOpaquePointer();
    return value.getAsOpaquePointer();
  }

  Sharding desiredSharding(Value value, const Mesh &mesh) {
    auto it = desired.find(keyOf(value));
    if (it != desired.end())
      return it->second;
    return Sharding::replicated(
        mesh.symbol, cast<RankedTensorType>(value.getType()).getRank());
  }

  void seed(Operation *op, const Mesh &mesh) {
    auto plant = [&](const void *key, ShardingAttr pin) {
      if (!pin || mesh.check(pin.getValue()))
        return; // the chooser reports invalid pins
      Sharding sharding = pin.getValue();
      sharding.open.clear();
      sharding.partial.clear();
      desired.try_emplace(key, sharding);
      pinned.insert(key);
    };
    if (isa<ParameterOp, StateOp>(op))
      plant(SymbolTable::getSymbolName(op).getAsOpaquePointer(),
            pinnedSharding(op));
    if (auto shard = dyn_cast<ShardOp>(op)) {
      plant(keyOf(shard.getResult()), shard.getSharding());
      plant(keyOf(shard.getOperand()), shard.getSharding());
    }
    if (auto function = dyn_cast<func::FuncOp>(op)) {
      for (BlockArgument argument : function.getArguments())
        plant(keyOf(argument), function.getArgAttrOfType<ShardingAttr>(
                                   argument.getArgNumber(), kShardingAttrName));
      Operation *ret = function.getBody().front().getTerminator();
      for (auto [i, value] : llvm::enumerate(ret->getOperands()))
        plant(keyOf(value),
              function.getResultAttrOfType<ShardingAttr>(i, kShardingAttrName));
    }
  }

  /// Carries the splits of one operation's values to its other values.
  bool spread(Operation *op, const Mesh &mesh) {
    RuledOp ruled = RuledOp::of(op);
    bool changed = false;
    for (const AxisRef &axis : mesh.axes())
      for (auto [f, factor] : llvm::enumerate(ruled.rule.factors)) {
        if (factor.size <= 1 || factor.kind == FactorKind::Whole ||
            factor.kind == FactorKind::Shifted ||
            factor.kind == FactorKind::Synchronized)
          continue;
        AxisUse use = AxisUse::split(f);
        if (splitsFactor(op, ruled, axis, use, mesh))
          changed |= splitAll(op, ruled, axis, use, mesh);
      }
    return changed;
  }

  bool splitsFactor(Operation *op, const RuledOp &ruled, const AxisRef &axis,
                    AxisUse use, const Mesh &mesh) {
    auto has = [&](Value value, AxisState state) {
      return state.kind == AxisState::Split &&
             stateOf(desiredSharding(value, mesh), axis) == state;
    };
    for (auto [i, value] : llvm::enumerate(op->getOperands()))
      if (has(value, operandState(ruled.rule, use, i)))
        return true;
    for (auto [i, value] : llvm::enumerate(op->getResults()))
      if (has(value, resultState(ruled.rule, use, i)))
        return true;
    return false;
  }

  bool splitAll(Operation *op, const RuledOp &ruled, const AxisRef &axis,
                AxisUse use, const Mesh &mesh) {
    bool changed = false;
    auto split = [&](Value value, AxisState state) {
      const void *key = keyOf(value);
      if (state.kind != AxisState::Split || pinned.contains(key))
        return;
      Sharding sharding = desiredSharding(value, mesh);
      if (stateOf(sharding, axis).kind != AxisState::Replicated)
        return;
      sharding.dims[state.dim].push_back(axis);
      desired[key] = std::move(sharding);
      changed = true;
    };
    for (auto [i, value] : llvm::enumerate(op->getOperands()))
      split(value, operandState(ruled.rule, use, i));
    for (auto [i, value] : llvm::enumerate(op->getResults()))
      split(value, resultState(ruled.rule, use, i));
    return changed;
  }

  /// By value, or by symbol name for parameters and states.
  llvm::DenseMap<const void *, Sharding> desired;
  llvm::DenseSet<const void *> pinned;
};

} // namespace

std::unique_ptr<Assigner> tpc::createPropagationAssigner() {
  return std::make_unique<PropagationAssigner>();
}
