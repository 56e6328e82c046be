// Reads a device's blocks of the parameters from stored tensors.
#ifndef TPCRT_WEIGHTS_PARAMETERLOADER_H
#define TPCRT_WEIGHTS_PARAMETERLOADER_H

#include "artifact/Module.h"
#include "device/cpu/DeviceMemory.h"
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

} // namespace tpcrt

#endif // TPCRT_WEIGHTS_PARAMETERLOADER_H
