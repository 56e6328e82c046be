// Files for tests: a folder that goes away, and safetensors files.
#ifndef TPC_TEST_UNIT_RUNTIME_TESTFILES_H
#define TPC_TEST_UNIT_RUNTIME_TESTFILES_H

#include <cstdint>
#include <string>
#include <vector>

namespace tpcrt::test {

/// A new folder that is removed with everything in it.
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string file(const std::string &name) const { return path + "/" + name; }
  /// The names in it, sorted.
  std::vector<std::string> entries() const;

  std::string path;
};

std::vector<uint8_t> readBytes(const std::string &path);
void writeBytes(const std::string &path, const std::string &content);

/// A safetensors file of a JSON header and the bytes behind it.
std::string safetensors(const std::string &header, const std::string &data);

/// One F32 tensor per entry.
struct TestTensor {
  std::string name;
  std::vector<uint64_t> shape;
  std::vector<float> values;
};
std::string safetensors(const std::vector<TestTensor> &tensors);

} // namespace tpcrt::test

#endif // TPC_TEST_UNIT_RUNTIME_TESTFILES_H
