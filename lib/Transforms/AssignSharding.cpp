//===- AssignSharding.cpp - Decides how every tensor is split -------------===//

#include "tpc/Transforms/Passes.h"

namespace tpc {
#define GEN_PASS_DEF_ASSIGNSHARDINGPASS
#include "tpc/Transforms/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

namespace {
struct AssignSharding
    : public tpc::impl::AssignShardingPassBase<AssignSharding> {
  using AssignShardingPassBase::AssignShardingPassBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    std::unique_ptr<Assigner> assigner = createAssigner(mode);
    if (!assigner) {
      module.emitError("unknown mode \"")
          << mode << "\"; expected one of: " << assignmentModes();
      return signalPassFailure();
    }
    FailureOr<Mesh> mesh = lookupMesh(module);
    if (failed(mesh))
      return signalPassFailure();
    FailureOr<Assignment> assignment = assigner->assign(module, *mesh);
    if (failed(assignment))
      return signalPassFailure();
    applyAssignment(module, *assignment, *mesh);
  }
};
} // namespace
