//===- RelativeBias.cpp - Attention biases by distance --------------------===//

#include "RelativeBias.h"
#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace tpc;

FailureOr<DistanceBuckets> tpc::readBuckets(const ModelConfig &config,
                                            bool bothWays) {
  StringRef countKey = "relative_attention_num_buckets";
  StringRef distanceKey = "relative_attention_max_distance";
  auto count = config.size(countKey, 32);
  auto distance = config.size(distanceKey, 128);
  if (failed(count) || failed(distance))
    return failure();
  if (*count < 4)
    return config.error() << "key \"" << countKey
                          << "\": expected at least 4, found " << *count;
  // Half of the buckets of a direction are for single distances.
  int64_t exact = *count / (bothWays ? 4 : 2);
  if (*distance <= exact)
    return config.error() << "key \"" << distanceKey
                          << "\": expected more than " << exact << " with "
                          << countKey << " " << *count << ", found "
                          << *distance;
  return DistanceBuckets{*count, *distance, bothWays};
}

int64_t DistanceBuckets::of(int64_t distance) const {
  int64_t buckets = count, first = 0, back = std::max<int64_t>(-distance, 0);
  if (bothWays) {
    buckets /= 2;
    first = distance > 0 ? buckets : 0;
    back = std::abs(distance);
  }
  int64_t exact = buckets / 2;
  if (back < exact)
    return first + back;
  // In float, as the models were trained: the last bit decides at borders.
  float part = std::log(static_cast<float>(back) / static_cast<float>(exact)) /
               static_cast<float>(std::log(static_cast<double>(maxDistance) /
                                           static_cast<double>(exact)));
  int64_t range =
      exact + static_cast<int64_t>(part * static_cast<float>(buckets - exact));
  return first + std::min(range, buckets - 1);
}

Value tpc::relativeBias(GraphBuilder &g, const DistanceBuckets &buckets,
                        Value table, Value positions, int64_t keys) {
  // One row for each distance, 1 - keys to keys - 1.
  SmallVector<int64_t> bucketOf;
  for (int64_t distance = 1 - keys; distance < keys; ++distance)
    bucketOf.push_back(buckets.of(distance));
  Type f32 = g.raw().getF32Type(), i64 = g.raw().getI64Type();
  Value rows = g.convert(g.embedding(table, g.constant(bucketOf)), f32);
  SmallVector<int64_t> shape{GraphBuilder::shapeOf(positions)[0], keys};
  Value distances =
      g.sub(g.iota(shape, 1, i64), g.broadcast(positions, shape, {0}));
  return g.embedding(rows, g.add(distances, g.constant(keys - 1, shape, i64)));
}
