// No safetensors file crashes the reader, and what it accepts lies in the file.
#include "Edits.h"
#include "weights/SafetensorsHeader.h"

#include <cstdlib>

static std::vector<uint8_t> goodFile() {
  static constexpr char header[] =
      R"({"__metadata__":{"format":"pt"},)"
      R"("a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
      R"("b":{"dtype":"I64","shape":[],"data_offsets":[24,32]},)"
      R"("c":{"dtype":"BF16","shape":[1,4],"data_offsets":[32,40]}})";
  uint64_t size = sizeof(header) - 1;
  std::vector<uint8_t> file(sizeof(size));
  std::memcpy(file.data(), &size, sizeof(size));
  file.insert(file.end(), header, header + size);
  file.resize(file.size() + 40);
  return file;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::vector<uint8_t> good = goodFile();
  std::vector<uint8_t> bytes = edited(good, data, size);
  // The size of the header follows the edits, except where they reach it.
  if (bytes.size() >= 48 && std::memcmp(bytes.data(), good.data(), 8) == 0) {
    uint64_t header = bytes.size() - 48;
    std::memcpy(bytes.data(), &header, sizeof(header));
  }
  std::span file(reinterpret_cast<const std::byte *>(bytes.data()),
                 bytes.size());
  auto tensors = tpcrt::parseSafetensors(file);
  if (!tensors)
    return 0;
  for (const tpcrt::StoredTensor &tensor : *tensors)
    if (tensor.data < file.data() ||
        tensor.bytes > size_t(file.data() + file.size() - tensor.data))
      std::abort();
  return 0;
}
