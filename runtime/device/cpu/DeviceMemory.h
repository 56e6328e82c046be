// The memory of one virtual CPU device. Addresses are fixed at load.
#ifndef TPCRT_DEVICE_CPU_DEVICEMEMORY_H
#define TPCRT_DEVICE_CPU_DEVICEMEMORY_H

#include "artifact/Module.h"
#include "tpcrt/Error.h"

#include <memory>

namespace tpcrt {

/// Zeroed memory at a 64-byte boundary; empty ones have a null address. Copies
/// share the memory, which is freed with the last of them.
class Buffer {
public:
  static Result<Buffer> allocate(uint64_t size, std::string_view what);

  std::byte *data() const { return memory.get(); }
  uint64_t size() const { return memory ? length : 0; }

  /// What finds the memory again as long as a Buffer holds it.
  class Weak {
  public:
    Weak() = default;
    Weak(const Buffer &buffer) : memory(buffer.memory), length(buffer.length) {}
    /// Empty if the memory has been freed.
    Buffer lock() const {
      Buffer buffer;
      buffer.memory = memory.lock();
      buffer.length = length;
      return buffer;
    }

  private:
    std::weak_ptr<std::byte> memory;
    uint64_t length = 0;
  };

private:
  std::shared_ptr<std::byte> memory;
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

  DeviceMemory() = default;
  /// Picks the device's scalars; no memory is allocated yet.
  DeviceMemory(const Module &module, uint64_t device);

  /// Allocates the arena, and the states that are not there.
  Result<void> allocate(const Module &module);

  void *resolve(const BufferRef &ref, const SharedConstants &constants);
};

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_DEVICEMEMORY_H
