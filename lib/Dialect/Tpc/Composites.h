//===- Composites.h - What decompositions and gradients share ---*- C++ -*-===//
//
// Parts of composites in f32 that their gradients need again.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_DIALECT_TPC_COMPOSITES_H
#define TPC_LIB_DIALECT_TPC_COMPOSITES_H

#include "Core.h"

namespace tpc {

/// Softmax over the last dimension of f32 logits; a row of nothing but -inf
/// gives zeros. `sink`, if given, has the logits' shape without the last
/// dimension and is one more logit whose weight is dropped.
mlir::Value softmax(Core &core, mlir::Value logits, mlir::Value sink = {});

/// A tensor normalized over its last dimension, and what it was multiplied
/// with, in the same shape.
struct Normalized {
  mlir::Value normal, scale;
};
/// (x - mean) / sqrt(variance + epsilon).
Normalized layerNormal(Core &core, mlir::Value x, double epsilon);
/// x / sqrt(mean(x^2) + epsilon).
Normalized rmsNormal(Core &core, mlir::Value x, double epsilon);

} // namespace tpc

#endif // TPC_LIB_DIALECT_TPC_COMPOSITES_H
