// No .npy file crashes the reader.
#include "Edits.h"
#include "tpcrt/Npy.h"

#include <sys/mman.h>
#include <unistd.h>

static std::vector<uint8_t> goodFile() {
  static constexpr char header[] =
      "\x93NUMPY\1\0\x76\0"
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4), }";
  std::vector<uint8_t> file(header, header + sizeof(header) - 1);
  file.resize(127, ' ');
  file.push_back('\n');
  file.resize(file.size() + 96);
  return file;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const std::vector<uint8_t> good = goodFile();
  static const int file = ::memfd_create("fuzz.npy", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  std::vector<uint8_t> bytes = edited(good, data, size);
  if (::ftruncate(file, bytes.size()) == 0 &&
      ::pwrite(file, bytes.data(), bytes.size(), 0) == ssize_t(bytes.size()))
    (void)tpcrt::readNpy(path);
  return 0;
}
