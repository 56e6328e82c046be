//===- CodegenPipeline.cpp - The phases of code generation in order -------===//

#include "mlir/Transforms/Passes.h"
#include "tpc/Codegen/Passes.h"

using namespace mlir;

void tpc::buildCodegenPipeline(OpPassManager &manager, StringRef device) {
  FuseEpiloguesOptions epilogues;
  epilogues.device = device.str();
  manager.addPass(createFuseEpilogues(epilogues));
  manager.addPass(createExpandComposites());
  manager.addPass(createExpandDeviceOps());
  manager.addPass(createFlattenCollectives());
  manager.addPass(createGroupCollectives());
  manager.addPass(createNormalizeMatmuls());
  manager.addPass(createCSEPass());
  manager.addPass(createFormKernels());
  manager.addPass(createAllocateBuffers());
  manager.addPass(createVerifyPlan());
}
