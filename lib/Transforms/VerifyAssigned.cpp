//===- VerifyAssigned.cpp - Every operation is local ----------------------===//

#include "tpc/Transforms/Passes.h"

namespace tpc {
#define GEN_PASS_DEF_VERIFYASSIGNEDPASS
#include "tpc/Transforms/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

namespace {
struct VerifyAssigned
    : public tpc::impl::VerifyAssignedPassBase<VerifyAssigned> {
  void runOnOperation() override {
    FailureOr<Mesh> mesh = lookupMesh(getOperation());
    if (failed(mesh))
      return signalPassFailure();
    bool ok = true;
    for (auto function : getOperation().getOps<func::FuncOp>())
      function.walk([&](Operation *op) { ok &= succeeded(verify(op, *mesh)); });
    if (!ok)
      signalPassFailure();
  }

  static ShardingAttr storedSharding(func::FuncOp function, StringAttr symbol) {
    Operation *op = SymbolTable::lookupNearestSymbolFrom(function, symbol);
    if (auto parameter = dyn_cast<ParameterOp>(op))
      return getSharding(parameter.getTensorType());
    return getSharding(cast<StateOp>(op).getTensorType());
  }

  static LogicalResult verify(Operation *op, const Mesh &mesh) {
    OpShardings shardings;
    auto collect = [&](TypeRange types, auto &list,
                       StringRef what) -> LogicalResult {
      for (auto [i, type] : llvm::enumerate(types)) {
        ShardingAttr sharding = getSharding(type);
        if (!sharding)
          return op->emitOpError("assigned form: ")
                 << what << " " << i << " carries no sharding";
        if (auto problem = mesh.check(sharding.getValue()))
          return op->emitOpError("assigned form: ")
                 << what << " " << i << ": " << *problem;
        for (const PartialAxis &p : sharding->partial)
          if (p.reduction != sharding->partial[0].reduction)
            return op->emitOpError("assigned form: ")
                   << what << " " << i
                   << " is partial by two reductions, which do not commute";
        list.push_back(sharding.getValue());
      }
      return success();
    };
    if (isa<func::FuncOp>(op))
      return success();
    if (failed(collect(op->getOperandTypes(), shardings.operands, "operand")) ||
        failed(collect(op->getResultTypes(), shardings.results, "result")))
      return failure();
    if (isa<func::ReturnOp>(op)) {
      auto function = cast<func::FuncOp>(op->getParentOp());
      for (auto [i, sharding] : llvm::enumerate(shardings.operands)) {
        if (sharding.isPartial())
          return op->emitOpError("assigned form: result ")
                 << i << " is partial";
        StringAttr like = heldLike(function, i);
        if (!like)
          continue;
        ShardingAttr stored = storedSharding(function, like);
        if (!stored || stored.getValue() != sharding)
          return op->emitOpError("assigned form: result ")
                 << i << " is not held like @" << like.getValue();
      }
      return success();
    }
    if (!isa<ShardingRuleOpInterface>(op))
      return success();
    RuledOp ruled = RuledOp::of(op);
    if (matchStrategy(ruled, shardings, mesh))
      return success();
    return op->emitOpError("is not local under its shardings; rule: ")
           << ruled.rule.str();
  }
};
} // namespace
