// Memory that the processes of one host share. It has no name in any file
// system: the last process that ends frees it, however it ends.
#ifndef TPCRT_COMM_SHAREDREGION_H
#define TPCRT_COMM_SHAREDREGION_H

#include "device/Buffer.h"

namespace tpcrt {

class SharedRegion {
public:
  SharedRegion() = default;
  SharedRegion(SharedRegion &&other) noexcept;
  SharedRegion &operator=(SharedRegion &&other) noexcept;
  ~SharedRegion();

  /// `bytes` of zeros. `what` it is for, for errors.
  static Result<SharedRegion> create(uint64_t bytes, std::string_view what);
  /// The region of another process, by its descriptor, which it takes over.
  static Result<SharedRegion> open(int file, uint64_t bytes,
                                   std::string_view what);

  int file() const { return descriptor; }
  std::byte *data() const { return memory.get(); }
  /// Bytes [offset, offset + size); keeps all of the region mapped.
  Buffer part(uint64_t offset, uint64_t size) const;

private:
  Result<void> map(uint64_t bytes, std::string_view what);

  int descriptor = -1;
  std::shared_ptr<std::byte> memory;
};

} // namespace tpcrt

#endif // TPCRT_COMM_SHAREDREGION_H
