// No artifact crashes the reader: what it accepts is in range everywhere.
#include "Edits.h"
#include "TestArtifact.h"
#include "artifact/Module.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::vector<uint8_t> good =
      tpcrt::test::smallArtifact().payload();
  std::vector<uint8_t> payload = edited(good, data, size);
  // A good checksum: damage alone is caught before the payload is read.
  std::vector<std::byte> file =
      tpcrt::wrapArtifact(payload.data(), payload.size());
  auto bytes = tpcrt::ArtifactBytes::fromMemory(file.data(), file.size());
  if (bytes)
    (void)tpcrt::loadModule(*bytes);
  return 0;
}
