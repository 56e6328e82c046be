//===- tpc-opt.cpp - Runs passes on tpc modules ---------------------------===//

#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "tpc/Pipeline/ModuleText.h"
#include "tpc/Pipeline/Pipeline.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/ToolOutputFile.h"

using namespace mlir;

/// As mlir-opt, after a look at the text.
static LogicalResult run(StringRef inputName, StringRef outputName,
                         DialectRegistry &registry) {
  std::string error;
  auto input = openInputFile(inputName, &error);
  auto output = input ? openOutputFile(outputName, &error) : nullptr;
  if (!output) {
    llvm::errs() << "tpc-opt: error: " << error << "\n";
    return failure();
  }
  MLIRContext context(MLIRContext::Threading::DISABLED);
  if (failed(tpc::checkModuleText(*input, &context)) ||
      failed(MlirOptMain(output->os(), std::move(input), registry,
                         MlirOptMainConfig::createFromCLOptions())))
    return failure();
  output->keep();
  return success();
}

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  DialectRegistry registry;
  tpc::registerDialects(registry);
  tpc::registerPasses();
  tpc::registerPipelines();
  auto [input, output] =
      registerAndParseCLIOptions(argc, argv, "tpc optimizer\n", registry);
  MlirOptMainConfig config = MlirOptMainConfig::createFromCLOptions();
  bool isQuestion = config.shouldListPasses() || config.shouldShowDialects();
  return asMainReturnCode(isQuestion
                              ? MlirOptMain(argc, argv, input, output, registry)
                              : run(input, output, registry));
}
