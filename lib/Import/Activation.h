//===- Activation.h - Activations by their names in config.json -*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_ACTIVATION_H
#define TPC_LIB_IMPORT_ACTIVATION_H

#include "GraphBuilder.h"
#include "ModelConfig.h"

namespace tpc {

/// A function of every element, as a graph.
using Activation = mlir::Value (*)(GraphBuilder &graph, mlir::Value x);

/// The activation that transformers knows under `name`; null where there is
/// none here.
Activation findActivation(llvm::StringRef name);

/// The one that `key` of the configuration names, or `fallback`; emits an error
/// that lists the known names.
mlir::FailureOr<Activation> readActivation(const ModelConfig &config,
                                           llvm::StringRef key,
                                           llvm::StringRef fallback);

} // namespace tpc

#endif // TPC_LIB_IMPORT_ACTIVATION_H
