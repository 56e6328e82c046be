//===- LibraryKernels.h - What libraries may not compute --------*- C++ -*-===//
//
// Kernels for the steps of a plan that a GPU's libraries compute where they
// can. Right for everything that the steps allow, and simple rather than fast.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_CODEGEN_CUDA_LIBRARYKERNELS_H
#define TPC_LIB_CODEGEN_CUDA_LIBRARYKERNELS_H

#include "tpc/Codegen/CudaImage.h"

namespace tpc {

/// The operands of the step that are there, in the order of the artifact's
/// fields (query, key, value, bias, lengths, offset, sinks), then the result.
llvm::SmallVector<mlir::Value> buffersOf(plan::AttentionOp op);
/// rows, choices, weights, result.
llvm::SmallVector<mlir::Value> buffersOf(plan::GroupedMatmulOp op);

/// Emits the kernel before `builder`'s insertion point; `facts` are of the
/// buffers above, from the first element that the step reads.
mlir::FailureOr<CudaLaunch> emitAttention(mlir::OpBuilder &builder,
                                          plan::AttentionOp op,
                                          llvm::StringRef symbol,
                                          llvm::ArrayRef<BufferFacts> facts);
CudaLaunch emitGroupedMatmul(mlir::OpBuilder &builder, plan::GroupedMatmulOp op,
                             llvm::StringRef symbol,
                             llvm::ArrayRef<BufferFacts> facts);

} // namespace tpc

#endif // TPC_LIB_CODEGEN_CUDA_LIBRARYKERNELS_H
