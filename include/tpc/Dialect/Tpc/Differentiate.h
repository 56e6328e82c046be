//===- Differentiate.h - Gradients of an entry's loss -----------*- C++ -*-===//

#ifndef TPC_DIALECT_TPC_DIFFERENTIATE_H
#define TPC_DIALECT_TPC_DIFFERENTIATE_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace tpc {

/// Adds a result `grad.NAME` to `function` for each name in `wrt`, parameters
/// and inputs: the gradient of the result `output`, of their type. An empty
/// `output` is the only floating-point scalar, an empty `wrt` every
/// floating-point parameter that the loss depends on. Emits an error where
/// there is no such thing, or an operation has no gradient.
llvm::LogicalResult differentiate(mlir::func::FuncOp function,
                                  llvm::StringRef output,
                                  llvm::ArrayRef<std::string> wrt);

} // namespace tpc

#endif // TPC_DIALECT_TPC_DIFFERENTIATE_H
