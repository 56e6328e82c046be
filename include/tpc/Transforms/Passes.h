//===- Passes.h - From whole programs to per-device programs ----*- C++ -*-===//

#ifndef TPC_TRANSFORMS_PASSES_H
#define TPC_TRANSFORMS_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "tpc/Sharding/Assignment.h"
#include <functional>

namespace tpc {

#define GEN_PASS_DECL
#include "tpc/Transforms/Passes.h.inc"

/// Puts an assignment into the types of a module and inserts the reshards.
void applyAssignment(mlir::ModuleOp module, const Assignment &assignment,
                     const Mesh &mesh);

/// Called with what assignment decided, before the module carries it.
using OnDecided = std::function<mlir::LogicalResult(
    mlir::ModuleOp, const Mesh &, const AssignOptions &, const Assignment &)>;

/// What C++ gives tpc-assign-sharding beside its options, and takes from it.
struct AssignHooks {
  std::optional<PlanText> plan;
  OnDecided decided;
};
std::unique_ptr<mlir::Pass>
createAssignShardingPass(AssignShardingPassOptions options, AssignHooks hooks);

#define GEN_PASS_REGISTRATION
#include "tpc/Transforms/Passes.h.inc"

} // namespace tpc

#endif // TPC_TRANSFORMS_PASSES_H
