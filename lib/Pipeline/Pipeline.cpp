//===- Pipeline.cpp - The phases in order ---------------------------------===//

#include "tpc/Pipeline/Pipeline.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/Passes.h"
#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Plan/Plan.h"
#include "tpc/Dialect/Tpc/Tpc.h"

using namespace mlir;

void tpc::registerDialects(DialectRegistry &registry) {
  registry.insert<TpcDialect, spmd::SpmdDialect, plan::PlanDialect,
                  func::FuncDialect>();
}

void tpc::registerPasses() {
  mlir::registerTransformsPasses();
  registerCodegenPasses();
}

void tpc::registerPipelines() {}
