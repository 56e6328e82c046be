//===- KernelImage.h - Kernels as machine code ------------------*- C++ -*-===//

#ifndef TPC_CODEGEN_KERNELIMAGE_H
#define TPC_CODEGEN_KERNELIMAGE_H

#include "tpc/Dialect/Plan/Plan.h"

namespace tpc {

/// What a kernel image needs of the CPU.
struct CpuKind {
  llvm::StringRef name;     ///< as in the artifact: "avx2", "avx512", ...
  llvm::StringRef cpu;      ///< LLVM's name of the processor
  llvm::StringRef features; ///< beside those of the processor
  int64_t vectorLanes;      ///< f32 lanes of a register
  bool roundsToBf16;        ///< has instructions that convert f32 to bf16
};

/// The names of all kinds, for messages: "avx512bf16, avx512, avx2".
std::string cpuKindNames();

/// The kind of that name, or nothing.
std::optional<CpuKind> findCpuKind(llvm::StringRef name);
/// The best kind that this machine runs, or nothing.
std::optional<CpuKind> hostCpuKind();

/// Registers what compileKernels needs in the context.
void registerKernelCompilation(mlir::MLIRContext &context);

/// Appends the loops of `functions` to `target` as llvm.func.
mlir::LogicalResult
emitKernelLoops(llvm::ArrayRef<plan::KernelFuncOp> functions,
                mlir::ModuleOp target, const CpuKind &kind);

/// A self-contained x86-64 ELF shared object with a function
/// `void symbol(void **buffers, int64_t begin, int64_t end)` for each.
mlir::FailureOr<std::vector<uint8_t>>
compileKernels(llvm::ArrayRef<plan::KernelFuncOp> functions,
               const CpuKind &kind);

} // namespace tpc

#endif // TPC_CODEGEN_KERNELIMAGE_H
