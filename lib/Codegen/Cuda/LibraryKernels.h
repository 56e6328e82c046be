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

/// Emit the kernel before `builder`'s insertion point. Its buffers are the
/// step's operands that are there (query, key, value, bias, lengths, offset,
/// sinks; rows, choices, weights; lhs, rhs), from the first element that the
/// step reads, then the result; `facts` are theirs.
mlir::FailureOr<CudaLaunch> emitAttention(mlir::OpBuilder &builder,
                                          plan::AttentionOp op,
                                          llvm::StringRef symbol,
                                          llvm::ArrayRef<BufferFacts> facts);
CudaLaunch emitGroupedMatmul(mlir::OpBuilder &builder, plan::GroupedMatmulOp op,
                             llvm::StringRef symbol,
                             llvm::ArrayRef<BufferFacts> facts);
/// An error for a bias or an activation.
mlir::FailureOr<CudaLaunch> emitMatmul(mlir::OpBuilder &builder,
                                       plan::MatmulOp op,
                                       llvm::StringRef symbol,
                                       llvm::ArrayRef<BufferFacts> facts);

} // namespace tpc

#endif // TPC_LIB_CODEGEN_CUDA_LIBRARYKERNELS_H
