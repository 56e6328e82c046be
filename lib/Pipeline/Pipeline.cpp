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

static DialectRegistry allDialects() {
  DialectRegistry registry;
  tpc::registerDialects(registry);
  return registry;
}

tpc::CompilerContext::CompilerContext()
    : MLIRContext(allDialects(), Threading::DISABLED) {
  loadAllAvailableDialects();
  printOpOnDiagnostic(false);
}

void tpc::registerPasses() {
  mlir::registerTransformsPasses();
  registerShardingPasses();
  registerCodegenPasses();
}

namespace {
struct AssignOptionsText : public PassPipelineOptions<AssignOptionsText> {
  Option<std::string> mode{
      *this, "mode", llvm::cl::desc("how to decide: auto, megatron, propagate"),
      llvm::cl::init("auto")};
  Option<std::string> machine{
      *this, "machine",
      llvm::cl::desc("machine that times are predicted for: a name or a file")};
  Option<int64_t> memoryLimit{
      *this, "memory-limit",
      llvm::cl::desc("bytes on one device; -1: what the machine has"),
      llvm::cl::init(-1)};
  Option<std::string> weights{
      *this, "weights",
      llvm::cl::desc("how often entries are called: prefill=1,decode=100")};
  ListOption<std::string> pins{
      *this, "pins",
      llvm::cl::desc("pins beside those in the module: NAME=SHARDING, "
                     "NAME=colwise, NAME=rowwise, NAME=replicated, "
                     "AXIS=batch")};
};
} // namespace

void tpc::registerPipelines() {
  PassPipelineRegistration<AssignOptionsText>(
      "tpc-phase-assign", "Phase: whole form to assigned form",
      [](OpPassManager &pm, const AssignOptionsText &text) {
        AssignPhaseOptions options;
        options.mode = text.mode;
        options.machine = text.machine;
        if (text.memoryLimit >= 0)
          options.memoryLimit = text.memoryLimit;
        options.weights = text.weights;
        options.pins.assign(text.pins.begin(), text.pins.end());
        buildAssignPhase(pm, options);
      });
  PassPipelineRegistration<>("tpc-phase-partition",
                             "Phase: assigned form to per-device programs",
                             buildPartitionPhase);
  PassPipelineRegistration<>("tpc-phase-verify",
                             "Phase: proof of the per-device programs",
                             buildVerifyPhase);
  PassPipelineRegistration<>(
      "tpc-phase-plan", "Phase: per-device programs to plans",
      [](OpPassManager &pm) { buildPlanPhase(pm); });
}
