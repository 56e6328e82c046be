//===- Pipeline.cpp - The phases in order ---------------------------------===//

#include "tpc/Pipeline/Pipeline.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"
#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Plan/Plan.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "tpc/Pipeline/Compiler.h"
#include "tpc/Transforms/Passes.h"

using namespace mlir;

void tpc::registerDialects(DialectRegistry &registry) {
  registry.insert<TpcDialect, spmd::SpmdDialect, plan::PlanDialect,
                  func::FuncDialect>();
}

void tpc::registerPasses() {
  mlir::registerTransformsPasses();
  registerShardingPasses();
  registerCodegenPasses();
}

namespace {
struct AssignPhaseOptions : public PassPipelineOptions<AssignPhaseOptions> {
  Option<std::string> mode{*this, "mode",
                           llvm::cl::desc("how to decide: megatron, propagate"),
                           llvm::cl::init("megatron")};
};
} // namespace

void tpc::registerPipelines() {
  PassPipelineRegistration<AssignPhaseOptions>(
      "tpc-phase-assign", "Phase: whole form to assigned form",
      [](OpPassManager &pm, const AssignPhaseOptions &options) {
        buildAssignPhase(pm, options.mode);
      });
  PassPipelineRegistration<>("tpc-phase-partition",
                             "Phase: assigned form to per-device programs",
                             buildPartitionPhase);
  PassPipelineRegistration<>("tpc-phase-verify",
                             "Phase: proof of the per-device programs",
                             buildVerifyPhase);
  PassPipelineRegistration<>(
      "tpc-phase-plan", "Phase: per-device programs to plans", buildPlanPhase);
}
