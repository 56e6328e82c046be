//===- Pipeline.cpp - The phases in order ---------------------------------===//

#include "tpc/Pipeline/Pipeline.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/Passes.h"
#include "tpc/Dialect/Spmd/Spmd.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "tpc/Transforms/Passes.h"

using namespace mlir;

void tpc::registerDialects(DialectRegistry &registry) {
  registry.insert<TpcDialect, spmd::SpmdDialect, func::FuncDialect>();
}

void tpc::registerPasses() {
  mlir::registerTransformsPasses();
  registerShardingPasses();
}

void tpc::registerPipelines() {}
