//===- tpc-opt.cpp - Runs passes on tpc modules ---------------------------===//

#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "tpc/Pipeline/Pipeline.h"

int main(int argc, char **argv) {
  mlir::DialectRegistry registry;
  tpc::registerDialects(registry);
  tpc::registerPasses();
  tpc::registerPipelines();
  return mlir::asMainReturnCode(
      mlir::MlirOptMain(argc, argv, "tpc optimizer\n", registry));
}
