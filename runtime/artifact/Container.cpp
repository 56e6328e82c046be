// The artifact's header: writing it around a payload, and taking it off again.
#include "artifact/Module.h"
#include "support/Fail.h"
#include "support/MappedFile.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdlib>
#include <cstring>

using namespace tpcrt;

namespace {

struct Header {
  char magic[4];
  uint32_t version;
  uint64_t payloadSize;
  uint64_t checksum;
  uint64_t zero;
};
static_assert(sizeof(Header) == artifactHeaderSize);
constexpr char expectedMagic[4] = {'T', 'P', 'C', 'X'};

Header makeHeader(const void *payload, size_t size) {
  Header header{};
  std::memcpy(header.magic, expectedMagic, 4);
  header.version = artifactVersion;
  header.payloadSize = size;
  header.checksum = XXH3_64bits(payload, size);
  return header;
}

} // namespace

std::vector<std::byte> tpcrt::wrapArtifact(const void *payload, size_t size) {
  Header header = makeHeader(payload, size);
  std::vector<std::byte> file(sizeof(Header) + size);
  std::memcpy(file.data(), &header, sizeof(Header));
  if (size > 0)
    std::memcpy(file.data() + sizeof(Header), payload, size);
  return file;
}

Result<OutputFile> ArtifactBytes::prepareFile(const std::string &path) const {
  TPCRT_ASSIGN(OutputFile file, OutputFile::create(path));
  TPCRT_TRY(file.write(data(), size()));
  return file;
}

Result<void> ArtifactBytes::writeFile(const std::string &path) const {
  TPCRT_ASSIGN(OutputFile file, prepareFile(path));
  return file.commit();
}

Result<ArtifactBytes> ArtifactBytes::fromFile(const std::string &path) {
  TPCRT_ASSIGN(MappedFile file, mapFile(path));
  ArtifactBytes result;
  result.bytes = std::move(file.bytes);
  result.length = file.size;
  result.label = path;
  return result;
}

Result<ArtifactBytes> ArtifactBytes::fromMemory(const void *bytes, size_t size,
                                                std::string name) {
  // FlatBuffers reads its scalars in place: the copy is aligned like a mapping.
  constexpr size_t alignment = 64;
  size_t padded = (size + alignment) / alignment * alignment;
  auto *copy = static_cast<std::byte *>(std::aligned_alloc(alignment, padded));
  if (!copy)
    return fail("{}: out of memory for {} bytes", name, size);
  if (size > 0)
    std::memcpy(copy, bytes, size);
  ArtifactBytes result;
  result.bytes = {copy, [](const std::byte *bytes) {
                    std::free(const_cast<std::byte *>(bytes));
                  }};
  result.length = size;
  result.label = std::move(name);
  return result;
}

Result<std::span<const std::byte>>
tpcrt::openContainer(const ArtifactBytes &bytes) {
  if (bytes.size() < sizeof(Header))
    return fail("expected an artifact of at least {} bytes, found {}",
                sizeof(Header), bytes.size());
  Header header;
  std::memcpy(&header, bytes.data(), sizeof(Header));
  if (std::memcmp(header.magic, expectedMagic, 4) != 0)
    return fail("not an artifact: it does not start with TPCX");
  if (header.version != artifactVersion)
    return fail("expected format version {}, found {}; compile the model again",
                artifactVersion, header.version);
  size_t found = bytes.size() - sizeof(Header);
  if (header.payloadSize != found)
    return fail("the header promises {} bytes of payload, found {}",
                header.payloadSize, found);
  if (header.zero != 0)
    return fail("damaged header: expected zeros in its last 8 bytes");
  std::span payload(bytes.data() + sizeof(Header), found);
  if (XXH3_64bits(payload.data(), payload.size()) != header.checksum)
    return fail("the checksum of the payload does not match: the artifact is "
                "damaged");
  return payload;
}

Result<Module> tpcrt::loadModule(ArtifactBytes bytes) {
  auto load = [&]() -> Result<Module> {
    TPCRT_ASSIGN(auto payload, openContainer(bytes));
    TPCRT_ASSIGN(Module module, decodePayload(payload));
    TPCRT_TRY(checkModule(module));
    return module;
  };
  auto module = load();
  if (!module)
    return fail("{}: {}", bytes.name(), module.error().message);
  Header header;
  std::memcpy(&header, bytes.data(), sizeof(Header));
  module->fingerprint = fmt::format("{:016x}", header.checksum);
  module->bytes = std::move(bytes);
  return module;
}
