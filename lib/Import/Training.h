//===- Training.h - The entry `step` of importers ---------------*- C++ -*-===//
//
// A family builds the entry like its forward entry, with labels as further
// inputs, and returns `loss`, which is then differentiated.
//
//   count = number of labels from 0 to v - 1
//   loss = sum of -ln softmax(logits)[label] over those / max(count, 1)
//
// as transformers has it: other labels, -100 by custom, do not count.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_IMPORT_TRAINING_H
#define TPC_LIB_IMPORT_TRAINING_H

#include "GraphBuilder.h"

namespace tpc {

inline constexpr llvm::StringLiteral kStepEntry = "step";

/// The mean of the cross entropy of logits [..., v] over labels [...], an f32
/// scalar.
mlir::Value meanCrossEntropy(GraphBuilder &graph, mlir::Value logits,
                             mlir::Value labels);

/// Each token's label where the model predicts the next token: labels [b, s]
/// moved by one to the left, -100 for the last.
mlir::Value nextLabels(GraphBuilder &graph, mlir::Value labels);

} // namespace tpc

#endif // TPC_LIB_IMPORT_TRAINING_H
