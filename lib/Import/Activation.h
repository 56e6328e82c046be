//===- Activation.h - Activation functions by name --------------*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_ACTIVATION_H
#define TPC_LIB_IMPORT_ACTIVATION_H

#include "GraphBuilder.h"
#include "ModelConfig.h"

namespace tpc {

enum class Activation {
  Silu,
  Gelu,
  GeluTanh,
  QuickGelu, ///< x sigmoid(1.702 x)
  Relu,
  ReluSquared,
  Sigmoid,
  Tanh,
  Linear
};

/// The activation of that name, which stands under `key`; emits an error that
/// lists the known ones.
mlir::FailureOr<Activation> parseActivation(const ModelConfig &config,
                                            llvm::StringRef key,
                                            llvm::StringRef name);

mlir::Value applyActivation(GraphBuilder &g, Activation activation,
                            mlir::Value x);

} // namespace tpc

#endif // TPC_LIB_IMPORT_ACTIVATION_H
