//===- CudaImage.h - Kernels for NVIDIA's GPUs ------------------*- C++ -*-===//
//
// The steps of plans that generated kernels compute, as one module of PTX:
//
//   KernelStep                       every plan.kernel
//   AttentionStep::generated         what a library may not compute
//   GroupedMatmulStep::generated     the same
//   MatmulStep::generated            products that the library does not compute
//
// Only LLVM's NVPTX backend is needed: no CUDA toolkit, no libdevice. The
// kernels' math is that of the CPU's (lib/Codegen/VectorMath.h), so that both
// give nearly the same numbers.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_CODEGEN_CUDAIMAGE_H
#define TPC_CODEGEN_CUDAIMAGE_H

#include "tpc/Dialect/Plan/Plan.h"
#include "llvm/ADT/StringMap.h"

namespace tpc {

/// What a module of kernels is compiled for.
struct CudaKind {
  std::string chip; ///< "sm_80": the least that the GPU must be
  /// LLVM bitcode instead of PTX, which test/KernelSimulator runs on a CPU.
  bool bitcode = false;
};

/// "sm_80", "sm_90", "sm_100", each also with "-bitcode".
std::string cudaKindNames();
std::optional<CudaKind> findCudaKind(llvm::StringRef name);

/// How a kernel is launched: on blocks x 1 x 1 blocks of threads x 1 x 1.
struct CudaLaunch {
  std::string symbol;
  int64_t blocks = 0;
  int64_t threads = 0;
};

/// What is known of the memory that a kernel's buffer is bound to.
struct BufferFacts {
  int64_t alignment = 16;
  /// Nothing writes to it while the kernel runs.
  bool readOnly = false;
};

class CudaModule {
  using EmitStepFn = llvm::function_ref<mlir::FailureOr<CudaLaunch>(
      mlir::OpBuilder &, llvm::StringRef, llvm::ArrayRef<BufferFacts>)>;

public:
  /// `module` has the plan.programs that run the kernels: where their values
  /// lie decides how kernels may access them.
  explicit CudaModule(mlir::ModuleOp module);

  /// Adds the kernel that computes a step; equal ones are one. Emits an error
  /// at what has no kernel.
  mlir::FailureOr<CudaLaunch> add(plan::KernelFuncOp function);
  mlir::FailureOr<CudaLaunch> add(plan::AttentionOp op);
  mlir::FailureOr<CudaLaunch> add(plan::GroupedMatmulOp op);
  mlir::FailureOr<CudaLaunch> add(plan::MatmulOp op);

  /// The threads' code as llvm.func.
  mlir::ModuleOp code() { return *kernels; }
  /// PTX with a final zero, or bitcode. Call it after the last add; it may be
  /// called for several kinds.
  mlir::FailureOr<std::vector<uint8_t>> compile(const CudaKind &kind);

private:
  void collectFacts(mlir::ModuleOp module);
  /// The first elements that a step reads of its operands, 0 where left out.
  mlir::FailureOr<CudaLaunch> addStep(mlir::Operation *step,
                                      llvm::SmallVector<int64_t> offsets,
                                      llvm::StringRef name, EmitStepFn emit);

  mlir::OwningOpRef<mlir::ModuleOp> kernels;
  llvm::StringMap<CudaLaunch> launches;
  /// Of the buffers of kernel functions that programs run.
  llvm::StringMap<llvm::SmallVector<BufferFacts>> facts;
};

/// Whether cuBLASLt computes the product: of f32 or f64, or of bf16 or f16 into
/// the same type or f32, over at least one element.
bool isLibraryProduct(plan::MatmulOp op);

/// Registers what CudaModule needs in the context.
void registerCudaCompilation(mlir::MLIRContext &context);

} // namespace tpc

#endif // TPC_CODEGEN_CUDAIMAGE_H
