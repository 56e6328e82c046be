// The memory of one virtual CPU device. Addresses are fixed at load.
#ifndef TPCRT_DEVICE_CPU_DEVICEMEMORY_H
#define TPCRT_DEVICE_CPU_DEVICEMEMORY_H

#include "artifact/Module.h"
#include "tpcrt/Error.h"

namespace tpcrt {

/// Zeroed memory at a 64-byte boundary; empty ones have a null address.
class Buffer {
public:
  static Result<Buffer> allocate(uint64_t size, std::string_view what);

  Buffer() = default;
  Buffer(Buffer &&other) noexcept { *this = std::move(other); }
  Buffer &operator=(Buffer &&other) noexcept {
    std::swap(address, other.address);
    std::swap(length, other.length);
    return *this;
  }
  ~Buffer();

  std::byte *data() const { return address; }
  uint64_t size() const { return length; }

private:
  std::byte *address = nullptr;
  uint64_t length = 0;
};

/// Constants are the same on all devices: one copy for all.
using SharedConstants = std::vector<Buffer>;
Result<SharedConstants> copyConstants(const Module &module);

struct DeviceMemory {
  Buffer arena;
  std::vector<Buffer> parameters; // filled by the parameter loader
  std::vector<Buffer> states;
  std::vector<Buffer> packed; // matmul weights in the library's format
  Buffer scratch;             // used within one step
  std::vector<int64_t> scalars;

  /// Allocates the arena and the states, and picks the device's scalars.
  static Result<DeviceMemory> create(const Module &module, uint64_t device);

  void *resolve(const BufferRef &ref, const SharedConstants &constants);
};

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_DEVICEMEMORY_H
