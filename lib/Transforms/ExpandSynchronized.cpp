//===- ExpandSynchronized.cpp - Composites that communicate inside --------===//
//
// softmax of tensor<8x64> split along its last dimension becomes
//
//   %m = tpc.reduce max %x dims [1]      partial: max {"tp"}
//   %r = tpc.reshard %m                  all_reduce max
//   ...
//
// The decomposition is put into a function of its own whose arguments and
// results are pinned to what the composite had, assigned by propagation, and
// inlined. A blockwise form (tpc/Sharding/Expansion.h) is proved to compute
// what the decomposition does every time it is used (Proof/Blockwise.h).
//
//===----------------------------------------------------------------------===//

#include "Proof/Blockwise.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Transforms/CSE.h"
#include "tpc/Sharding/Expansion.h"
#include "tpc/Transforms/Passes.h"

namespace tpc {
#define GEN_PASS_DEF_EXPANDSYNCHRONIZEDPASS
#include "tpc/Transforms/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

static OpShardings shardingsOf(Operation *op) {
  OpShardings shardings;
  for (Type type : op->getOperandTypes())
    shardings.operands.push_back(getSharding(type).getValue());
  for (Type type : op->getResultTypes())
    shardings.results.push_back(getSharding(type).getValue());
  return shardings;
}

/// Fails if the form of `op` in `blocks` is not proved.
static LogicalResult checkForm(DecomposableOpInterface op, int64_t blocks) {
  Decomposition plain(op), blockwise(op, blocks);
  std::optional<std::string> problem =
      proof::proveBlockwise({plain.block(), plain.results()},
                            {blockwise.block(), blockwise.results()});
  if (!problem)
    return success();
  return op->emitOpError("the form in ")
         << blocks << " blocks is not proved: " << *problem;
}

static LogicalResult expand(DecomposableOpInterface op, const Mesh &mesh) {
  OpShardings shardings = shardingsOf(op);
  auto partial = [](const Sharding &sharding) { return sharding.isPartial(); };
  if (llvm::any_of(shardings.operands, partial) ||
      llvm::any_of(shardings.results, partial))
    return op->emitOpError(
        "is split along a synchronized dimension and partial "
        "at once, which cannot be expanded");
  Expansion expansion(op, mesh);
  FailureOr<Assignment> assignment = expansion.assign(shardings);
  if (failed(assignment) || (expansion.getBlocks() > 0 &&
                             failed(checkForm(op, expansion.getBlocks()))))
    return failure();
  applyAssignment(expansion.getModule(), *assignment, mesh);

  func::FuncOp function = expansion.getFunction();
  OpBuilder builder(op);
  IRMapping mapping;
  mapping.map(function.getArguments(), op->getOperands());
  for (Operation &inner : function.getBody().front().without_terminator())
    builder.clone(inner, mapping);
  Operation *ret = function.getBody().front().getTerminator();
  for (auto [result, value] :
       llvm::zip_equal(op->getResults(), ret->getOperands())) {
    Value replacement = mapping.lookupOrDefault(value);
    result.replaceAllUsesWith(replacement);
  }
  op->erase();
  return success();
}

namespace {
struct ExpandSynchronized
    : public tpc::impl::ExpandSynchronizedPassBase<ExpandSynchronized> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    FailureOr<Mesh> mesh = lookupMesh(module);
    if (failed(mesh))
      return signalPassFailure();
    // What a composite becomes may have composites of the same kind.
    bool expanded = false;
    for (auto composites = findSynchronized(module, *mesh); !composites.empty();
         composites = findSynchronized(module, *mesh))
      for (DecomposableOpInterface op : composites) {
        if (failed(expand(op, *mesh)))
          return signalPassFailure();
        expanded = true;
      }
    if (expanded)
      shareParts(module);
  }

private:
  /// What two expansions compute alike is computed and sent once: a loss and
  /// its gradient need the same maxima and sums.
  static void shareParts(ModuleOp module) {
    IRRewriter rewriter(module.getContext());
    DominanceInfo dominance;
    for (auto function : module.getOps<func::FuncOp>())
      eliminateCommonSubExpressions(rewriter, dominance, function);
  }

  static SmallVector<DecomposableOpInterface>
  findSynchronized(ModuleOp module, const Mesh &mesh) {
    SmallVector<DecomposableOpInterface> composites;
    for (auto function : module.getOps<func::FuncOp>())
      function.walk([&](DecomposableOpInterface op) {
        RuledOp ruled = RuledOp::of(op);
        auto strategy = matchStrategy(ruled, shardingsOf(op), mesh);
        if (strategy && splits(ruled.rule, *strategy, FactorKind::Synchronized))
          composites.push_back(op);
      });
    return composites;
  }
};
} // namespace
