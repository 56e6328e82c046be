#include "tpcrt/OutputFile.h"

#include "support/Fail.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

using namespace tpcrt;

Result<OutputFile> OutputFile::create(const std::string &path) {
  struct stat status;
  if (::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode))
    return fail("cannot write '{}': it is a directory", path);
  OutputFile file;
  file.path = path;
  file.temporary = path + ".XXXXXX";
  file.descriptor = ::mkstemp(file.temporary.data());
  if (file.descriptor < 0)
    return fail("cannot write '{}': {}", path, std::strerror(errno));
  // mkstemp makes a private file; an output has the usual permissions.
  mode_t mask = ::umask(0);
  ::umask(mask);
  ::fchmod(file.descriptor, 0666 & ~mask);
  return file;
}

OutputFile::OutputFile(OutputFile &&other) noexcept
    : path(std::move(other.path)), temporary(std::move(other.temporary)),
      descriptor(std::exchange(other.descriptor, -1)) {}

OutputFile &OutputFile::operator=(OutputFile &&other) noexcept {
  std::swap(path, other.path);
  std::swap(temporary, other.temporary);
  std::swap(descriptor, other.descriptor);
  return *this;
}

OutputFile::~OutputFile() {
  if (descriptor < 0)
    return;
  ::close(descriptor);
  ::unlink(temporary.c_str());
}

Result<void> OutputFile::write(const void *data, size_t size) {
  auto *bytes = static_cast<const char *>(data);
  while (size > 0) {
    ssize_t written = ::write(descriptor, bytes, size);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return fail("cannot write '{}': {}", path, std::strerror(errno));
    bytes += written;
    size -= written;
  }
  return {};
}

Result<void> OutputFile::commit() {
  if (::close(std::exchange(descriptor, -1)) != 0 ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    int error = errno;
    ::unlink(temporary.c_str());
    return fail("cannot write '{}': {}", path, std::strerror(error));
  }
  return {};
}

Result<void> tpcrt::checkOutputPaths(const std::vector<std::string> &paths) {
  std::set<std::string> seen;
  for (const std::string &path : paths) {
    if (!seen.insert(path).second)
      return fail("'{}' is named twice as an output file", path);
    TPCRT_ASSIGN(OutputFile probe, OutputFile::create(path));
  }
  return {};
}

Result<OutputFile> tpcrt::prepareText(const std::string &path,
                                      std::string_view text) {
  TPCRT_ASSIGN(OutputFile file, OutputFile::create(path));
  TPCRT_TRY(file.write(text.data(), text.size()));
  return file;
}

Result<void> tpcrt::commitAll(std::vector<OutputFile> files) {
  for (OutputFile &file : files)
    TPCRT_TRY(file.commit());
  return {};
}
