// Weights as one safetensors file per device, and back.
//
//   OUT/device-00000-of-00004.safetensors   what device 0 holds
//   OUT/tpc-shards.json                     how the files were cut
//   OUT/...                                 what else was in the folder
//
// A tensor that is split lies in the file of each device as that device's part,
// dense; one that is not lies whole in the file of every device that has it.
// What was cut is put together again bit for bit.
#ifndef TPCRT_WEIGHTSHARDS_H
#define TPCRT_WEIGHTSHARDS_H

#include "tpcrt/Safetensors.h"

namespace tpcrt {

/// Indices begin .. begin + count - 1 of a dimension.
struct IndexRun {
  uint64_t begin = 0;
  uint64_t count = 0;

  friend bool operator==(const IndexRun &a, const IndexRun &b) {
    return a.begin == b.begin && a.count == b.count;
  }
};
/// Ascending, not touching each other.
using IndexRuns = std::vector<IndexRun>;
inline uint64_t countOf(const IndexRuns &runs) {
  uint64_t count = 0;
  for (const IndexRun &run : runs)
    count += run.count;
  return count;
}

/// The elements whose index in every dimension is in its runs; empty: none.
using TensorPart = std::vector<IndexRuns>;

/// A stored tensor that devices hold parts of. Every element is held by some
/// device, and two devices hold the same part or different elements.
struct SplitTensor {
  std::string name;
  std::vector<TensorPart> devices;
};

/// Writes the files of `devices` devices for the weights of `folder`, and
/// copies what else is in it, into the new or empty folder `out`. Tensors of
/// which `split` says nothing are whole on every device. Memory: one tensor.
Result<void> writeShards(const std::string &folder, uint64_t devices,
                         const std::vector<SplitTensor> &split,
                         const std::string &out);

/// Writes into the new or empty folder `out` what writeShards made `folder`
/// from.
Result<void> mergeShards(const std::string &folder, const std::string &out);

} // namespace tpcrt

#endif // TPCRT_WEIGHTSHARDS_H
