//===- RelativeBias.h - Attention biases by distance ------------*- C++ -*-===//
//
// T5 adds to the score of a query and a key a number that depends on the head
// and the distance between them. Distances share a number in buckets: one for
// each small distance, then ranges that grow by a factor, then one for all from
// `maxDistance` on.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_IMPORT_RELATIVEBIAS_H
#define TPC_LIB_IMPORT_RELATIVEBIAS_H

#include "GraphBuilder.h"
#include "ModelConfig.h"

namespace tpc {

struct DistanceBuckets {
  int64_t count = 0, maxDistance = 0;
  /// Whether keys after the query have buckets of their own: half of them.
  bool bothWays = false;

  /// The bucket of a key `distance` after the query.
  int64_t of(int64_t distance) const;
};

/// Reads the sizes; emits an error for those that make no buckets.
mlir::FailureOr<DistanceBuckets> readBuckets(const ModelConfig &config,
                                             bool bothWays);

/// The biases [r, keys, heads], f32, of `table` [buckets, heads] for queries at
/// `positions` [r] and keys at 0, 1, ...; both below `keys`.
mlir::Value relativeBias(GraphBuilder &graph, const DistanceBuckets &buckets,
                         mlir::Value table, mlir::Value positions,
                         int64_t keys);

} // namespace tpc

#endif // TPC_LIB_IMPORT_RELATIVEBIAS_H
