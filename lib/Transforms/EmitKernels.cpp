//===- EmitKernels.cpp - The loops of kernels, to look at -----------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tpc/Codegen/KernelImage.h"
#include "tpc/Codegen/Passes.h"

namespace tpc {
#define GEN_PASS_DEF_EMITKERNELS
#include "tpc/Codegen/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

namespace {
struct EmitKernels : tpc::impl::EmitKernelsBase<EmitKernels> {
  using EmitKernelsBase::EmitKernelsBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    std::optional<CpuKind> kind = findCpuKind(isa);
    if (!kind) {
      module.emitError("unknown CPU kind '")
          << isa << "'; expected one of: " << cpuKindNames();
      return signalPassFailure();
    }
    SmallVector<plan::KernelFuncOp> functions(
        module.getOps<plan::KernelFuncOp>());
    // Programs call the functions by symbol; only the loops remain.
    OwningOpRef<ModuleOp> loops = ModuleOp::create(module.getLoc());
    if (failed(emitKernelLoops(functions, *loops, *kind)))
      return signalPassFailure();
    module.getBody()->clear();
    module.getBody()->getOperations().splice(module.getBody()->end(),
                                             loops->getBody()->getOperations());
  }
};
} // namespace
