#include "support/MappedFile.h"

#include "support/Fail.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace tpcrt;

Result<MappedFile> tpcrt::mapFile(const std::string &path) {
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    return fail("cannot read '{}': {}", path, std::strerror(errno));
  struct stat status;
  void *address = nullptr;
  int error = 0;
  bool regular = true;
  if (::fstat(descriptor, &status) != 0)
    error = errno;
  else if (!S_ISREG(status.st_mode))
    regular = false;
  else if (status.st_size > 0) {
    address =
        ::mmap(nullptr, status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (address == MAP_FAILED)
      error = errno;
  }
  ::close(descriptor);
  if (error)
    return fail("cannot read '{}': {}", path, std::strerror(error));
  if (!regular)
    return fail("cannot read '{}': not a regular file", path);

  MappedFile file;
  file.size = status.st_size;
  if (address)
    file.bytes = {static_cast<const std::byte *>(address),
                  [size = file.size](const std::byte *bytes) {
                    ::munmap(const_cast<std::byte *>(bytes), size);
                  }};
  return file;
}

void tpcrt::releasePages(const std::byte *bytes, size_t size) {
  uintptr_t page = ::sysconf(_SC_PAGESIZE);
  uintptr_t begin =
      (reinterpret_cast<uintptr_t>(bytes) + page - 1) / page * page;
  uintptr_t end = (reinterpret_cast<uintptr_t>(bytes) + size) / page * page;
  if (begin < end)
    ::madvise(reinterpret_cast<void *>(begin), end - begin, MADV_DONTNEED);
}
