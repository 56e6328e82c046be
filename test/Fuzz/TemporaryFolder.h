// A folder that lives as long as the process, for readers of files by name.
#ifndef TPC_TEST_FUZZ_TEMPORARYFOLDER_H
#define TPC_TEST_FUZZ_TEMPORARYFOLDER_H

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string name =
        (std::filesystem::temp_directory_path() / "tpc-fuzz-XXXXXX").string();
    if (!::mkdtemp(name.data()))
      std::abort();
    folder = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(folder); }

  std::string path() const { return folder.string(); }
  void write(const std::string &name, const void *data, size_t size) const {
    std::ofstream file(folder / name, std::ios::binary);
    file.write(static_cast<const char *>(data), size);
  }

private:
  std::filesystem::path folder;
};

#endif // TPC_TEST_FUZZ_TEMPORARYFOLDER_H
