//===- BatchDims.cpp - Where the batch is ---------------------------------===//

#include "BatchDims.h"
#include "WeightDims.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace tpc;

static int64_t rank(Value value) {
  return cast<RankedTensorType>(value.getType()).getRank();
}

BatchDims::BatchDims(ModuleOp module) {
  for (auto state : module.getOps<StateOp>())
    states[state.getSymNameAttr()].resize(state.getTensorType().getRank());
  std::vector<Ruled> ruled;
  std::vector<Operation *> others;
  for (auto function : module.getOps<func::FuncOp>()) {
    for (BlockArgument argument : function.getArguments())
      if (rank(argument) > 0)
        mark(argument, 0);
    function.walk([&](Operation *op) {
      if (auto rules = dyn_cast<ShardingRuleOpInterface>(op))
        ruled.push_back({op, rules.getShardingRule()});
      else if (isa<ReadOp, WriteOp, ShardOp>(op))
        others.push_back(op);
    });
  }
  // Every round but the last marks a dimension.
  for (bool changed = true; changed;) {
    changed = false;
    for (const Ruled &op : ruled)
      changed |= spread(op);
    for (Operation *op : others)
      changed |= spread(op);
    for (const Ruled &op : llvm::reverse(ruled))
      changed |= spread(op);
  }
}

SmallVector<bool> BatchDims::of(Value value) const {
  auto known = values.find(value);
  return known != values.end() ? known->second
                               : SmallVector<bool>(rank(value), false);
}

SmallVector<bool> BatchDims::ofSymbol(StringAttr name, int64_t rank) const {
  auto known = states.find(name);
  return known != states.end() ? known->second : SmallVector<bool>(rank, false);
}

bool BatchDims::mark(Value value, unsigned dim) {
  auto [known, fresh] = values.try_emplace(value);
  if (fresh)
    known->second.resize(rank(value));
  bool changed = !known->second[dim];
  known->second[dim] = true;
  return changed;
}

bool BatchDims::unite(Value value, SmallVector<bool> &other) {
  bool changed = false;
  SmallVector<bool> own = of(value);
  for (unsigned dim = 0; dim < own.size(); ++dim) {
    if (own[dim] && !other[dim])
      changed = other[dim] = true;
    else if (other[dim] && !own[dim])
      changed |= mark(value, dim);
  }
  return changed;
}

bool BatchDims::spread(Operation *op) {
  if (auto shard = dyn_cast<ShardOp>(op)) {
    SmallVector<bool> result = of(shard.getResult());
    bool changed = unite(shard.getOperand(), result);
    for (unsigned dim = 0; dim < result.size(); ++dim)
      if (result[dim])
        changed |= mark(shard.getResult(), dim);
    return changed;
  }
  auto read = dyn_cast<ReadOp>(op);
  StringAttr name = read ? read.getSymbolAttr().getAttr()
                         : cast<WriteOp>(op).getSymbolAttr().getAttr();
  auto state = states.find(name);
  if (state == states.end())
    return false;
  return unite(read ? read.getResult() : cast<WriteOp>(op).getValue(),
               state->second);
}

bool BatchDims::isParameter(Value value) const {
  auto read = value.getDefiningOp<ReadOp>();
  return read && !states.contains(read.getSymbolAttr().getAttr());
}

bool BatchDims::spread(const Ruled &ruled) {
  SmallVector<bool> isBatch(ruled.rule.factors.size(), false);
  auto forEach = [&](auto fn) {
    auto visit = [&](Value value, const TensorFactors &dims) {
      for (auto [d, factors] : llvm::enumerate(dims))
        if (auto factor = majorFactor(ruled.rule, factors))
          fn(value, d, *factor);
    };
    for (auto [value, dims] :
         llvm::zip_equal(ruled.op->getOperands(), ruled.rule.operands))
      visit(value, dims);
    for (auto [value, dims] :
         llvm::zip_equal(ruled.op->getResults(), ruled.rule.results))
      visit(value, dims);
  };
  forEach([&](Value value, unsigned dim, unsigned factor) {
    auto known = values.find(value);
    if (known != values.end() && known->second[dim])
      isBatch[factor] = true;
  });
  bool changed = false;
  forEach([&](Value value, unsigned dim, unsigned factor) {
    if (isBatch[factor] && !isParameter(value))
      changed |= mark(value, dim);
  });
  return changed;
}
