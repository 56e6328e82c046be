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
  GeluClipped, ///< gelu, from -10 to 10
  QuickGelu,   ///< x sigmoid(1.702 x)
  Relu,
  ReluSquared,
  Relu6,        ///< relu, to 6
  LeakyRelu,    ///< x, or 0.01 x where that is more
  HardSwish,    ///< x relu6(x + 3) / 6
  Mish,         ///< x tanh(softplus(x))
  SqrtSoftplus, ///< sqrt(softplus(x))
  Laplace,      ///< (1 + erf((x - mu) / (sigma sqrt 2))) / 2
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
