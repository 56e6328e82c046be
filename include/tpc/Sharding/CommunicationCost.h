//===- CommunicationCost.h - Predicted time of collectives ------*- C++ -*-===//
//
// The alpha-beta model: every step of a ring takes a latency, every byte that
// a device sends takes its share of the link. With n members and b bytes of the
// full (gathered) tensor per device:
//
//   all_reduce       2(n-1) steps, 2 b (n-1)/n bytes
//   all_gather       n-1 steps, b (n-1)/n bytes
//   reduce_scatter   n-1 steps, b (n-1)/n bytes
//   all_to_all       n-1 steps, b (n-1)/n bytes (b: the local tensor)
//   permute          1 step, b bytes
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_COMMUNICATIONCOST_H
#define TPC_SHARDING_COMMUNICATIONCOST_H

#include <cstdint>

namespace tpc {

enum class CollectiveKind {
  AllReduce,
  AllGather,
  ReduceScatter,
  AllToAll,
  Permute
};

/// A link between devices, and a device's memory.
struct LinkCost {
  double stepMicros = 2.0;        ///< latency of one step
  double bytesPerMicro = 100e3;   ///< 100 GB/s
  double copyBytesPerMicro = 1e6; ///< local slicing and masking, 1 TB/s
};

/// Bytes that one device sends. `bytes` is the size of the larger side of the
/// collective on one device (operand of reduce_scatter, result of all_gather,
/// the tensor itself otherwise).
double sentBytes(CollectiveKind kind, double bytes, int64_t members);

/// Predicted time in microseconds.
double collectiveMicros(CollectiveKind kind, double bytes, int64_t members,
                        const LinkCost &link);

} // namespace tpc

#endif // TPC_SHARDING_COMMUNICATIONCOST_H
