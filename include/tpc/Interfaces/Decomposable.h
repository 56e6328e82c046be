//===- Decomposable.h - Composite operations --------------------*- C++ -*-===//
//
// A composite (softmax, attention, ...) is defined by its decomposition into
// core operations. Its value, sharding rule and gradient follow from it.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_INTERFACES_DECOMPOSABLE_H
#define TPC_INTERFACES_DECOMPOSABLE_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"
#include "tpc/Interfaces/ShardingRule.h"

#include "tpc/Interfaces/Decomposable.h.inc"

namespace tpc {

/// The rule of a composite, derived from its decomposition: factors that the
/// inner operations tie together are one; a factor that is contracted inside
/// is contracted outside if everything after is linear, else synchronized.
ShardingRule deriveShardingRule(DecomposableOpInterface op);

} // namespace tpc

#endif // TPC_INTERFACES_DECOMPOSABLE_H
