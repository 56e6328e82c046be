#include "TestFiles.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace tpcrt::test;

TemporaryFolder::TemporaryFolder() {
  path = std::filesystem::temp_directory_path() / "tpcrt-test-XXXXXX";
  if (!mkdtemp(path.data()))
    std::abort();
}

TemporaryFolder::~TemporaryFolder() { std::filesystem::remove_all(path); }

std::vector<std::string> TemporaryFolder::entries() const {
  std::vector<std::string> names;
  for (auto &entry : std::filesystem::directory_iterator(path))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::vector<uint8_t> tpcrt::test::readBytes(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void tpcrt::test::writeBytes(const std::string &path,
                             const std::string &content) {
  std::ofstream(path, std::ios::binary) << content;
}

std::string tpcrt::test::safetensors(const std::string &header,
                                     const std::string &data) {
  uint64_t size = header.size();
  std::string file(sizeof(size), '\0');
  std::memcpy(file.data(), &size, sizeof(size));
  return file + header + data;
}

std::string tpcrt::test::safetensors(const std::vector<TestTensor> &tensors) {
  std::string header = "{", data;
  for (const TestTensor &tensor : tensors) {
    std::string shape;
    for (uint64_t size : tensor.shape)
      shape += (shape.empty() ? "" : ",") + std::to_string(size);
    size_t begin = data.size();
    data.append(reinterpret_cast<const char *>(tensor.values.data()),
                tensor.values.size() * sizeof(float));
    header += (header.size() > 1 ? "," : "") + ("\"" + tensor.name + "\"") +
              R"(:{"dtype":"F32","shape":[)" + shape + R"(],"data_offsets":[)" +
              std::to_string(begin) + "," + std::to_string(data.size()) + "]}";
  }
  return safetensors(header + "}", data);
}
