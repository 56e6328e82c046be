//===- TensorIO.h - Tensors in and out of tpc-eval --------------*- C++ -*-===//

#ifndef TPC_TOOLS_TPCEVAL_TENSORIO_H
#define TPC_TOOLS_TPCEVAL_TENSORIO_H

#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/LLVM.h"
#include "tpc/Reference/Tensor.h"

/// The tensor in the file `text`, if that ends in .npy; else the one that it
/// spells out as `dense<...> : tensor<...>`. Prints an error when it is
/// neither.
mlir::FailureOr<tpc::reference::Tensor> readTensor(llvm::StringRef text,
                                                   mlir::MLIRContext &context);

/// Writes DIR/NAME.npy for every tensor; prints an error, and writes none, when
/// one cannot be written.
mlir::LogicalResult
writeTensors(llvm::StringRef dir, llvm::ArrayRef<std::string> names,
             llvm::ArrayRef<tpc::reference::Tensor> tensors);

#endif // TPC_TOOLS_TPCEVAL_TENSORIO_H
