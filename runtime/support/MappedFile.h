// A file mapped read-only into memory.
#ifndef TPCRT_SUPPORT_MAPPEDFILE_H
#define TPCRT_SUPPORT_MAPPEDFILE_H

#include "tpcrt/Error.h"

#include <cstddef>
#include <memory>
#include <string>

namespace tpcrt {

struct MappedFile {
  std::shared_ptr<const std::byte> bytes; // unmaps when the last copy goes
  size_t size = 0;
};

/// Maps a regular file. An empty file has null `bytes`.
Result<MappedFile> mapFile(const std::string &path);

/// Lets go of the whole pages of a part of a mapped file that has been read; it
/// is read again if it is touched again.
void releasePages(const std::byte *bytes, size_t size);

} // namespace tpcrt

#endif // TPCRT_SUPPORT_MAPPEDFILE_H
