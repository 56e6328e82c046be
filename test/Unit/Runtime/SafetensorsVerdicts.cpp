// Reads files from standard input, each after its length (8 bytes, little
// endian), and prints one line of JSON for each: what the safetensors reader
// found in it, or its error.
//
//   [["a", "F32", [2, 3], 0, 24], ...]      name, dtype, shape, begin, end
//   "the header is not a JSON object: ..."
//
// Names and messages are in hexadecimal: they may hold anything.
#include "weights/SafetensorsHeader.h"

#include <cstdio>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace tpcrt;

namespace {

std::string hex(std::string_view text) {
  std::string result;
  for (unsigned char c : text)
    result += fmt::format("{:02x}", c);
  return result;
}

std::string verdict(std::span<const std::byte> file) {
  auto tensors = parseSafetensors(file);
  if (!tensors)
    return '"' + hex(tensors.error().message) + '"';
  uint64_t header;
  std::memcpy(&header, file.data(), sizeof(header));
  const std::byte *data = file.data() + sizeof(header) + header;
  std::vector<std::string> entries;
  for (const StoredTensor &tensor : *tensors)
    entries.push_back(
        fmt::format(R"(["{}", "{}", [{}], {}, {}])", hex(tensor.name),
                    tensor.dtype, fmt::join(tensor.shape, ", "),
                    tensor.data - data, tensor.data - data + tensor.bytes));
  return fmt::format("[{}]", fmt::join(entries, ", "));
}

} // namespace

int main() {
  uint64_t size;
  std::vector<std::byte> file;
  while (std::fread(&size, sizeof(size), 1, stdin) == 1) {
    file.resize(size);
    if (std::fread(file.data(), 1, size, stdin) != size)
      return 1;
    std::puts(verdict(file).c_str());
  }
  return 0;
}
