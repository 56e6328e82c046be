//===- ExpandComposites.cpp - Composites become core operations -----------===//
//
//   %y = tpc.gelu erf %x
// becomes, on the same local block and with gelu's location,
//   %0 = tpc.mul %x, %c   %1 = tpc.erf %0   ...
//
// An operation without a name lends its own to what it becomes, so that traces
// and errors speak of softmax, not of exp.
//
// What one step computes stays: grouped products, and attention where there is
// a step for it (tpc/Codegen/AttentionLayout.h).
//
//===----------------------------------------------------------------------===//

#include "tpc/Codegen/AttentionLayout.h"
#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Spmd/Spmd.h"

namespace tpc {
#define GEN_PASS_DEF_EXPANDCOMPOSITES
#include "tpc/Codegen/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

namespace {
struct ExpandComposites : tpc::impl::ExpandCompositesBase<ExpandComposites> {
  void runOnOperation() override {
    for (auto program : getOperation().getOps<spmd::ProgramOp>()) {
      // Decompositions may contain composites.
      SmallVector<DecomposableOpInterface> composites;
      do {
        composites.clear();
        program.walk([&](DecomposableOpInterface op) {
          auto attention = dyn_cast<AttentionOp>(*op);
          if (!isa<GroupedMatmulOp>(*op) && !(attention && hasStep(attention)))
            composites.push_back(op);
        });
        for (DecomposableOpInterface op : composites) {
          if (!op->getLoc()->findInstanceOf<NameLoc>())
            op->setLoc(NameLoc::get(
                StringAttr::get(&getContext(), describe(op)), op->getLoc()));
          OpBuilder builder(op);
          op->replaceAllUsesWith(op.decompose(builder, op->getOperands()));
          op->erase();
        }
      } while (!composites.empty());
    }
  }
};
} // namespace
