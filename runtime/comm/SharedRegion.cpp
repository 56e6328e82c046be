#include "comm/SharedRegion.h"

#include "support/Fail.h"

#include <cstring>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

using namespace tpcrt;

SharedRegion::SharedRegion(SharedRegion &&other) noexcept
    : descriptor(std::exchange(other.descriptor, -1)),
      memory(std::move(other.memory)) {}

SharedRegion &SharedRegion::operator=(SharedRegion &&other) noexcept {
  std::swap(descriptor, other.descriptor);
  std::swap(memory, other.memory);
  return *this;
}

SharedRegion::~SharedRegion() {
  if (descriptor >= 0)
    ::close(descriptor);
}

Result<SharedRegion> SharedRegion::create(uint64_t bytes,
                                          std::string_view what) {
  SharedRegion region;
  region.descriptor = ::memfd_create("tpc-shared", MFD_CLOEXEC);
  if (region.descriptor < 0)
    return fail("cannot create shared memory for {}: {}", what,
                std::strerror(errno));
  if (::ftruncate(region.descriptor, static_cast<off_t>(bytes)) != 0)
    return fail("cannot create {} bytes of shared memory for {}: {}", bytes,
                what, std::strerror(errno));
  TPCRT_TRY(region.map(bytes, what));
  return region;
}

Result<SharedRegion> SharedRegion::open(int file, uint64_t bytes,
                                        std::string_view what) {
  SharedRegion region;
  region.descriptor = file;
  struct stat status;
  if (::fstat(file, &status) != 0 ||
      static_cast<uint64_t>(status.st_size) != bytes)
    return fail("expected {} bytes of shared memory of {}", bytes, what);
  TPCRT_TRY(region.map(bytes, what));
  return region;
}

Result<void> SharedRegion::map(uint64_t bytes, std::string_view what) {
  void *address =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  if (address == MAP_FAILED)
    return fail("cannot map {} bytes of shared memory of {}: {}", bytes, what,
                std::strerror(errno));
  ::madvise(address, bytes, MADV_HUGEPAGE); // where the system has them
  memory = {static_cast<std::byte *>(address),
            [bytes](std::byte *start) { ::munmap(start, bytes); }};
  return {};
}

Buffer SharedRegion::part(uint64_t offset, uint64_t size) const {
  return Buffer::adopt(memory.get() + offset, size, [keep = memory] {});
}
