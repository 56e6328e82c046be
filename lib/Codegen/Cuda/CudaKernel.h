//===- CudaKernel.h - Threads of a kernel on a GPU --------------*- C++ -*-===//
//
// Turns a `plan.kernel_func` into
//
//   llvm.func @symbol(%buffer0: !llvm.ptr<1>, ...) attributes {nvvm.kernel}
//
// with the work of one thread (CudaShape.h). A thread beyond the end of a row,
// or of the rows, computes the first column or the last row once more and
// stores nothing: so there are no masks, and all threads meet at barriers.
//
// Sums are made in the same order on every run: no atomics.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_CODEGEN_CUDA_CUDAKERNEL_H
#define TPC_LIB_CODEGEN_CUDA_CUDAKERNEL_H

#include "../KernelPoints.h"
#include "BlockOps.h"
#include "CudaShape.h"

namespace tpc {

class CudaKernel : KernelPoints {
public:
  /// Emits before `builder`'s insertion point; `facts` has an entry for every
  /// buffer of the launch.
  static mlir::FailureOr<CudaShape> emit(mlir::OpBuilder &builder,
                                         plan::KernelFuncOp function,
                                         llvm::ArrayRef<BufferFacts> facts);

private:
  CudaKernel(mlir::OpBuilder &builder, plan::KernelFuncOp function,
             const KernelBody &body, const KernelShape &shape,
             const CudaShape &cuda, mlir::LLVM::LLVMFuncOp kernel);

  mlir::LogicalResult run(llvm::ArrayRef<BufferFacts> facts);

  mlir::LogicalResult emitFlat();

  // Kernels that reduce rows.
  using Sums = llvm::SmallVector<mlir::Value>;
  /// Columns [first, first + lanes), for those threads where `active` holds.
  struct Columns {
    mlir::Value first, active;
  };
  mlir::LogicalResult emitRows();
  void chooseRow();
  Columns columnsOf(mlir::Value round, bool mayBeBeyond);
  mlir::LogicalResult emitPass(unsigned pass);
  mlir::LogicalResult emitLoop(unsigned pass, Sums &sums);
  mlir::LogicalResult emitColumns(unsigned pass, Columns columns, Sums &sums);
  void finishReductions(unsigned pass, Sums &sums);
  mlir::LogicalResult storeRows();
  bool sharesRowValues();

  // Kernels of one special operation (CudaSpecialKernels.cpp).
  void emitSort(SortOp op);
  void emitTopK(TopKOp op);

  const CudaShape &cuda;
  BlockOps threads;
  mlir::Value threadOfRow;              // number among those that share a row
  mlir::Value rowActive;                // null: always
  llvm::SmallVector<Columns> allRounds; // of an unrolled kernel
};

} // namespace tpc

#endif // TPC_LIB_CODEGEN_CUDA_CUDAKERNEL_H
