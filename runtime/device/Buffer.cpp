#include "device/Buffer.h"

#include "support/Fail.h"

#include <sys/mman.h>

using namespace tpcrt;

Result<Buffer> Buffer::allocate(uint64_t size, std::string_view what) {
  Buffer buffer;
  if (size == 0)
    return buffer;
  constexpr uint64_t hugePage = 2 << 20;
  void *address = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED)
    return fail("out of memory: {} needs {} bytes", what, size);
  if (size >= hugePage)
    ::madvise(address, size, MADV_HUGEPAGE);
  buffer.memory = {static_cast<std::byte *>(address),
                   [size](std::byte *memory) { ::munmap(memory, size); }};
  buffer.length = size;
  return buffer;
}

Buffer Buffer::adopt(void *address, uint64_t size,
                     std::function<void()> release) {
  Buffer buffer;
  buffer.memory = {static_cast<std::byte *>(address),
                   [release = std::move(release)](std::byte *) { release(); }};
  buffer.length = size;
  return buffer;
}
