// The memory of one virtual CPU device. Addresses are fixed at load.
#ifndef TPCRT_DEVICE_CPU_DEVICEMEMORY_H
#define TPCRT_DEVICE_CPU_DEVICEMEMORY_H

#include "device/Buffer.h"

namespace tpcrt {

Result<SharedConstants> copyConstants(const Module &module);

struct DeviceMemory : ModelBlocks {
  Buffer arena; // by the communicator, because collectives work on it
  std::vector<Buffer> packed; // matmul weights in the library's format
  Buffer scratch;             // used within one step
  std::vector<int64_t> scalars;

  DeviceMemory() = default;
  /// Picks the device's scalars; no memory is allocated yet.
  DeviceMemory(const Module &module, uint64_t device);

  /// Allocates the states that are not there.
  Result<void> allocateStates(const Module &module);

  void *resolve(const BufferRef &ref, const SharedConstants &constants);
};

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_DEVICEMEMORY_H
