//===- EmitKernels.cpp - The loops of kernels, to look at -----------------===//

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "tpc/Codegen/CudaImage.h"
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
    OwningOpRef<ModuleOp> code;
    if (std::optional<CpuKind> cpu = findCpuKind(isa)) {
      code = emitCpu(module, *cpu);
    } else if (findCudaKind(isa)) {
      code = emitCuda(module);
    } else {
      module.emitError("unknown instruction set '")
          << isa << "'; expected one of: " << cpuKindNames() << ", "
          << cudaKindNames();
    }
    if (!code)
      return signalPassFailure();
    // Programs call the functions by symbol; only the code remains.
    module.getBody()->clear();
    module.getBody()->getOperations().splice(module.getBody()->end(),
                                             code->getBody()->getOperations());
  }

private:
  OwningOpRef<ModuleOp> emitCpu(ModuleOp module, const CpuKind &kind) {
    SmallVector<plan::KernelFuncOp> functions(
        module.getOps<plan::KernelFuncOp>());
    OwningOpRef<ModuleOp> loops = ModuleOp::create(module.getLoc());
    if (failed(emitKernelLoops(functions, *loops, kind)))
      return nullptr;
    return loops;
  }

  OwningOpRef<ModuleOp> emitCuda(ModuleOp module) {
    CudaModule kernels(module);
    for (auto function : module.getOps<plan::KernelFuncOp>())
      if (failed(kernels.add(function)))
        return nullptr;
    return kernels.code().clone();
  }
};
} // namespace
