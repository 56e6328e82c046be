// A file descriptor that closes itself.
#ifndef TPCRT_SUPPORT_FILE_H
#define TPCRT_SUPPORT_FILE_H

#include <unistd.h>
#include <utility>

namespace tpcrt {

class File {
public:
  File() = default;
  explicit File(int descriptor) : descriptor(descriptor) {}
  File(File &&other) noexcept
      : descriptor(std::exchange(other.descriptor, -1)) {}
  File &operator=(File &&other) noexcept {
    std::swap(descriptor, other.descriptor);
    return *this;
  }
  ~File() {
    if (descriptor >= 0)
      ::close(descriptor);
  }

  explicit operator bool() const { return descriptor >= 0; }
  int get() const { return descriptor; }
  int release() { return std::exchange(descriptor, -1); }

private:
  int descriptor = -1;
};

} // namespace tpcrt

#endif // TPCRT_SUPPORT_FILE_H
