// Looks for the first NaN or infinity that a step gives (LoadOptions::
// checkNumerics).
#ifndef TPCRT_FAILURE_NUMERICSWATCH_H
#define TPCRT_FAILURE_NUMERICSWATCH_H

#include "artifact/Module.h"

#include <functional>

namespace tpcrt {

/// What the steps of a program write on one device.
class NumericsWatch {
public:
  using Resolve = std::function<void *(const BufferRef &)>;

  NumericsWatch() = default;
  NumericsWatch(const Program &program, const Resolve &resolve);

  /// Brings `bytes` at a resolved address to where the host can read them.
  using Read = std::function<Result<const std::byte *>(const std::byte *data,
                                                       uint64_t bytes)>;
  /// "NaN at element 17 of 64 (f32)", if step `index` gave one. Without `read`
  /// the addresses are the host's.
  Result<void> check(size_t index, const Read &read = {}) const;

private:
  struct Output {
    const std::byte *data;
    ElementType type;
    uint64_t count;
  };
  std::vector<std::vector<Output>> outputs; // by step
};

} // namespace tpcrt

#endif // TPCRT_FAILURE_NUMERICSWATCH_H
