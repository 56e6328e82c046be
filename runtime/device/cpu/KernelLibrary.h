// The generated kernels of an artifact, loaded from memory.
#ifndef TPCRT_DEVICE_CPU_KERNELLIBRARY_H
#define TPCRT_DEVICE_CPU_KERNELLIBRARY_H

#include "artifact/Module.h"

#include <memory>

namespace tpcrt {

/// Works on tiles [begin, end).
using KernelFunction = void (*)(void **buffers, int64_t begin, int64_t end);

class KernelLibrary {
public:
  /// Loads the best image that this CPU runs and finds every kernel in it. A
  /// module without kernels needs no image.
  static Result<KernelLibrary> load(const Module &module);

  /// Null in a library that is not loaded: programs are planned with it, but
  /// not run.
  KernelFunction function(uint32_t kernel) const {
    return functions.empty() ? nullptr : functions[kernel];
  }
  /// The kind of the loaded image; empty without one.
  const std::string &isa() const { return imageIsa; }

private:
  std::shared_ptr<void> handle;
  std::vector<KernelFunction> functions;
  std::string imageIsa;
};

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_KERNELLIBRARY_H
