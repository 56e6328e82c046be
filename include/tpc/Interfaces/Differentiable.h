//===- Differentiable.h - Operations with a gradient ------------*- C++ -*-===//
//
// Reverse mode: an operation that gets the gradients of its results builds
// those of its operands. For y = matmul(x, w):
//
//   dx = matmul(dy, w) "m n, k n -> m k"     dw = matmul(x, dy) "m k, m n -> k
//   n"
//
// Values of the forward are used as they are: what an operation reads here is
// what has to be kept, or computed again, for the backward.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_INTERFACES_DIFFERENTIABLE_H
#define TPC_INTERFACES_DIFFERENTIABLE_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"

namespace tpc {

/// The gradients of a composite's operands through its decomposition, which is
/// built once more from the operands.
llvm::SmallVector<mlir::Value> buildDecomposedVjp(mlir::Operation *op,
                                                  mlir::OpBuilder &builder,
                                                  mlir::ValueRange gradients);

} // namespace tpc

#include "tpc/Interfaces/Differentiable.h.inc"

#endif // TPC_INTERFACES_DIFFERENTIABLE_H
