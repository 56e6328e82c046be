// What an executable will allocate, known before anything is allocated. Memory
// that is promised but not there ends a process without a word when it is
// touched, so what does not fit is refused at load.
#ifndef TPCRT_EXECUTOR_MEMORYNEED_H
#define TPCRT_EXECUTOR_MEMORYNEED_H

#include "executor/LoadedProgram.h"
#include "tpcrt/Runtime.h"

#include <optional>

namespace tpcrt {

/// Bytes on all devices together; what is more than 64 bits hold is the most
/// that they hold.
struct MemoryNeed {
  uint64_t weights = 0; // parameters as steps read them, and packed ones
  uint64_t states = 0;
  uint64_t values = 0;  // the arenas, scratch memory and constants
  uint64_t loading = 0; // parameters that are packed and then dropped
  uint64_t outputs = 0; // whole, of the program that has most
  uint64_t devices = 1;

  uint64_t total() const;
};

/// What one device takes, the same for all. `keepUnpacked`: the parameters that
/// stay as they are after packing.
DeviceStatistics deviceNeed(const Module &module,
                            const std::vector<LoadedProgram> &programs,
                            const MatmulContext &matmuls,
                            const std::vector<bool> &keepUnpacked);

/// `device`: what each of `devices` takes. `loaders`: how many threads load at
/// the same time.
MemoryNeed memoryNeed(const Module &module,
                      const std::vector<LoadedProgram> &programs,
                      const DeviceStatistics &device,
                      const std::vector<bool> &keepUnpacked, uint64_t loaders,
                      uint64_t devices);

/// An error with both figures where the need is above what is available;
/// nothing is known to be available where the system does not say.
Result<void> checkMemory(const MemoryNeed &need,
                         std::optional<uint64_t> available);

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_MEMORYNEED_H
