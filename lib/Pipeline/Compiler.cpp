//===- Compiler.cpp - From a module to an artifact ------------------------===//

#include "tpc/Pipeline/Compiler.h"
#include "mlir/Transforms/Passes.h"
#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "tpc/Transforms/Passes.h"

using namespace mlir;
using namespace tpc;

LogicalResult tpc::setMesh(ModuleOp module, StringRef text,
                           std::string &error) {
  SmallVector<StringAttr> names;
  SmallVector<int64_t> sizes;
  SmallVector<StringRef> parts;
  text.split(parts, ',');
  for (StringRef part : parts) {
    auto [name, size] = part.trim().split('=');
    int64_t value;
    if (name.empty() || size.getAsInteger(10, value)) {
      error = "mesh: expected a list of axes like \"dp=2,tp=4\", found \"" +
              text.str() + "\"";
      return failure();
    }
    names.push_back(StringAttr::get(module.getContext(), name));
    sizes.push_back(value);
  }
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &d) {
    error = d.str() + "; found \"" + text.str() + "\"";
    return success();
  });
  auto mesh = MeshAttr::getChecked(
      [&]() { return emitError(module.getLoc()); }, module.getContext(),
      ArrayRef<StringAttr>(names), ArrayRef<int64_t>(sizes));
  if (!mesh)
    return failure();
  StringRef symbol = "mesh";
  for (auto old : llvm::make_early_inc_range(module.getOps<MeshOp>())) {
    old.setMeshAttr(mesh);
    return success();
  }
  OpBuilder builder(module.getBodyRegion());
  MeshOp::create(builder, module.getLoc(), symbol, mesh);
  return success();
}

void tpc::removePins(ModuleOp module) {
  auto name = StringAttr::get(module.getContext(), kShardingAttrName);
  module.walk([&](Operation *op) {
    if (isa<ParameterOp, StateOp>(op))
      op->removeAttr(name);
    if (auto function = dyn_cast<FunctionOpInterface>(op)) {
      for (unsigned i = 0; i < function.getNumArguments(); ++i)
        function.removeArgAttr(i, name);
      for (unsigned i = 0; i < function.getNumResults(); ++i)
        function.removeResultAttr(i, name);
    }
    if (auto shard = dyn_cast<ShardOp>(op)) {
      shard.getResult().replaceAllUsesWith(shard.getOperand());
      shard.erase();
    }
  });
}

void tpc::buildAssignPhase(OpPassManager &pm, StringRef mode) {
  AssignPhaseOptions options;
  options.mode = mode.str();
  buildAssignPhase(pm, options);
}

void tpc::buildAssignPhase(OpPassManager &pm, const AssignPhaseOptions &options,
                           OnDecided onDecided) {
  AssignShardingPassOptions assign;
  assign.mode = options.mode;
  assign.machine = options.machine;
  assign.memoryLimit = options.memoryLimit.value_or(-1);
  assign.weights = options.weights;
  assign.pins.assign(options.pins.begin(), options.pins.end());
  assign.optimizerBytes = options.optimizerBytes;
  assign.timeLimit = options.timeLimit;
  pm.addPass(createAssignShardingPass(
      assign, AssignHooks{options.plan, std::move(onDecided)}));
  pm.addPass(createExpandSynchronizedPass());
  pm.addPass(createVerifyAssignedPass());
}

void tpc::buildPartitionPhase(OpPassManager &pm) {
  pm.addPass(createPartitionPass());
}

void tpc::buildVerifyPhase(OpPassManager &pm) {
  pm.addPass(createVerifyPartitionPass());
}

void tpc::buildPlanPhase(OpPassManager &pm, StringRef device) {
  buildCodegenPipeline(pm, device);
}

LogicalResult tpc::runPhase(ModuleOp module,
                            llvm::function_ref<void(OpPassManager &)> build) {
  PassManager pm(module.getContext());
  build(pm);
  return pm.run(module);
}
