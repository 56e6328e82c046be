// The artifact's container: a 32-byte header and a FlatBuffers payload
// (runtime/schema/artifact.fbs).
//
//   offset  size  field (little endian)
//        0     4  magic "TPCX"
//        4     4  format version
//        8     8  payload size in bytes
//       16     8  XXH3 (64 bit) of the payload
//       24     8  zero
#ifndef TPCRT_ARTIFACT_H
#define TPCRT_ARTIFACT_H

#include "tpcrt/Error.h"
#include "tpcrt/OutputFile.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace tpcrt {

inline constexpr size_t artifactHeaderSize = 32;
inline constexpr uint32_t artifactVersion = 3;

/// The container of a finished FlatBuffers payload.
std::vector<std::byte> wrapArtifact(const void *payload, size_t size);

/// The bytes of a container, from a file (mapped) or from memory (copied).
/// `name` says in messages where they come from.
class ArtifactBytes {
public:
  static Result<ArtifactBytes> fromFile(const std::string &path);
  static Result<ArtifactBytes> fromMemory(const void *bytes, size_t size,
                                          std::string name = "artifact");

  const std::byte *data() const { return bytes.get(); }
  size_t size() const { return length; }
  const std::string &name() const { return label; }

  /// A file with these bytes, complete but not yet committed.
  Result<OutputFile> prepareFile(const std::string &path) const;
  /// Writes them to `path`; a file at `path` is either whole or absent.
  Result<void> writeFile(const std::string &path) const;

private:
  std::shared_ptr<const std::byte> bytes;
  size_t length = 0;
  std::string label;
};

} // namespace tpcrt

#endif // TPCRT_ARTIFACT_H
