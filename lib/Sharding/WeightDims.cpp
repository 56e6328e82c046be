//===- WeightDims.cpp - Columns and rows of a parameter -------------------===//

#include "WeightDims.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tpc/Sharding/Strategies.h"

using namespace mlir;
using namespace tpc;

std::optional<unsigned> tpc::majorFactor(const ShardingRule &rule,
                                         ArrayRef<unsigned> dim) {
  for (unsigned factor : dim)
    if (rule.factors[factor].size > 1)
      return factor;
  return std::nullopt;
}

namespace {

/// By dimension of a value, the dimension of the parameter that it is.
using Origin = SmallVector<std::optional<unsigned>>;

class WeightUses {
public:
  explicit WeightUses(WeightDims &dims) : dims(dims) {}

  void visit(Value value, const Origin &origin) {
    for (OpOperand &use : value.getUses()) {
      Operation *op = use.getOwner();
      if (auto shard = dyn_cast<ShardOp>(op))
        visit(shard.getResult(), origin);
      else if (isa<ShardingRuleOpInterface>(op))
        visitRuled(use, origin);
    }
  }

private:
  void visitRuled(OpOperand &use, const Origin &origin) {
    Operation *op = use.getOwner();
    ShardingRule rule = cast<ShardingRuleOpInterface>(op).getShardingRule();
    Origin result;
    if (op->getNumOperands() == 1 && op->getNumResults() == 1)
      result.resize(rule.results[0].size());
    for (auto [d, factors] :
         llvm::enumerate(rule.operands[use.getOperandNumber()])) {
      auto factor = majorFactor(rule, factors);
      if (!factor || !origin[d])
        continue;
      std::optional<unsigned> kept;
      for (auto [r, resultFactors] : llvm::enumerate(rule.results[0]))
        if (majorFactor(rule, resultFactors) == factor)
          kept = r;
      classify(rule.factors[*factor].kind, kept, *origin[d], result);
    }
    if (!result.empty())
      visit(op->getResult(0), result);
  }

  /// `result` is empty unless the operation has no other operand.
  void classify(FactorKind kind, std::optional<unsigned> kept, unsigned origin,
                Origin &result) {
    bool leavesPartial = kind == FactorKind::Contracted ||
                         (kind == FactorKind::Indexed && !kept);
    if (leavesPartial)
      dims.row[origin] = true;
    else if (kind == FactorKind::Parallel && kept && !result.empty())
      result[*kept] = origin;
    else if (kind == FactorKind::Parallel && kept)
      dims.column[origin] = true;
  }

  WeightDims &dims;
};

} // namespace

llvm::DenseMap<StringAttr, WeightDims> tpc::weightDims(ModuleOp module) {
  llvm::DenseMap<StringAttr, WeightDims> found;
  for (auto parameter : module.getOps<ParameterOp>()) {
    size_t rank = parameter.getTensorType().getRank();
    found[parameter.getSymNameAttr()] = {SmallVector<bool>(rank, false),
                                         SmallVector<bool>(rank, false)};
  }
  module.walk([&](ReadOp read) {
    auto weight = found.find(read.getSymbolAttr().getAttr());
    if (weight == found.end())
      return;
    Origin origin;
    for (unsigned d = 0; d < weight->second.column.size(); ++d)
      origin.push_back(d);
    WeightUses(weight->second).visit(read.getResult(), origin);
  });
  return found;
}
