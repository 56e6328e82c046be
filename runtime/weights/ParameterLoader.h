// Reads a device's blocks of the parameters from stored tensors.
#ifndef TPCRT_WEIGHTS_PARAMETERLOADER_H
#define TPCRT_WEIGHTS_PARAMETERLOADER_H

#include "artifact/Module.h"
#include "device/Buffer.h"
#include "tpcrt/Safetensors.h"
#include "weights/PageCounter.h"

namespace tpcrt {

/// What loading one device has read.
struct LoadCounts {
  uint64_t bytes = 0; // of stored elements asked for
  PageCounter pages;
};

/// Every stored tensor that the module names exists with the expected type and
/// shape.
Result<void> checkWeights(const Module &module, const WeightSource &weights);

/// The block of `parameter` on `device`: converted, padding zero. checkWeights
/// has passed.
Result<Buffer> loadParameter(const Module &module, const Parameter &parameter,
                             const WeightSource &weights, uint64_t device,
                             LoadCounts &counts);

/// Elements [begin, begin + size) of each dimension of a device's block.
struct BlockWindow {
  std::vector<uint64_t> begin, size;

  uint64_t elements() const;
};

/// Cuts a block of `shape` into windows of at most `most` elements, each
/// contiguous in the block, in the order in which they lie there.
std::vector<BlockWindow> cutBlock(const std::vector<uint64_t> &shape,
                                  uint64_t most);

/// The same as loadParameter for a window of the block, into `result`, where it
/// lies densely.
void readWindow(const Module &module, const Parameter &parameter,
                const WeightSource &weights, uint64_t device,
                const BlockWindow &window, std::byte *result,
                LoadCounts &counts);
/// Tells the system that the stored tensors of `parameter` have been read.
void releaseSources(const Parameter &parameter, const WeightSource &weights);

} // namespace tpcrt

#endif // TPCRT_WEIGHTS_PARAMETERLOADER_H
