// Memory with owners, and the blocks of a model that a device of any kind keeps
// in it.
#ifndef TPCRT_DEVICE_BUFFER_H
#define TPCRT_DEVICE_BUFFER_H

#include "artifact/Module.h"
#include "tpcrt/Error.h"

#include <functional>
#include <memory>

namespace tpcrt {

/// Empty ones have a null address. Copies share the memory, which is freed with
/// the last of them.
class Buffer {
public:
  /// Zeroed host memory at a 64-byte boundary.
  static Result<Buffer> allocate(uint64_t size, std::string_view what);
  /// Memory of any kind that `release` frees.
  static Buffer adopt(void *address, uint64_t size,
                      std::function<void()> release);

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

/// Constants are the same on all devices: one copy for all that share memory.
using SharedConstants = std::vector<Buffer>;

/// What outlives an executable where several share it. In the module's order; a
/// block that is not there (yet) is empty.
struct ModelBlocks {
  std::vector<Buffer> parameters;
  std::vector<Buffer> states;

  ModelBlocks() = default;
  explicit ModelBlocks(const Module &module)
      : parameters(module.parameters.size()), states(module.states.size()) {}
};

} // namespace tpcrt

#endif // TPCRT_DEVICE_BUFFER_H
