//===- AttentionLayout.h - Attention as one step ----------------*- C++ -*-===//
//
// An attention is one step of the plan that reads its operands where they lie:
// transposes, slices and reshapes of query, key, value and bias are strides. So
// the part of a cache that is filled so far is a strided view of the state.
// Only the last dimension of query, key and value must be contiguous; one that
// is not gets a copy.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_CODEGEN_ATTENTIONLAYOUT_H
#define TPC_CODEGEN_ATTENTIONLAYOUT_H

#include "tpc/Codegen/MatmulLayout.h"

namespace tpc {

struct AttentionLayout {
  StridedValue query, key, value;
  std::optional<StridedValue> bias; // strides of [b, k, g, s, t]
};

/// Whether one step computes it: query, key and value have one element type.
bool hasStep(AttentionOp op);

AttentionLayout layoutOf(AttentionOp op);

} // namespace tpc

#endif // TPC_CODEGEN_ATTENTIONLAYOUT_H
