//===- TensorIO.h - Tensors on tpc-eval's command line ----------*- C++ -*-===//

#ifndef TPC_TOOLS_TPCEVAL_TENSORIO_H
#define TPC_TOOLS_TPCEVAL_TENSORIO_H

#include "mlir/IR/MLIRContext.h"
#include "mlir/Support/LLVM.h"
#include "tpc/Reference/Tensor.h"

/// The tensor that `text` spells out as `dense<...> : tensor<...>`. Prints an
/// error when it is no such thing.
mlir::FailureOr<tpc::reference::Tensor> readTensor(llvm::StringRef text,
                                                   mlir::MLIRContext &context);

#endif // TPC_TOOLS_TPCEVAL_TENSORIO_H
