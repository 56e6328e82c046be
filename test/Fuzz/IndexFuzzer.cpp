// No model.safetensors.index.json crashes the reader, and what it accepts names
// files of its folder. The input is the file; a.safetensors and b.safetensors
// beside it hold one tensor each, `a` and `b`.
#include "TemporaryFolder.h"
#include "tpcrt/Safetensors.h"

namespace {

struct Folder : TemporaryFolder {
  Folder() {
    for (std::string name : {"a", "b"}) {
      std::string header =
          "{\"" + name +
          R"(":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
      uint64_t size = header.size();
      std::string file(reinterpret_cast<const char *>(&size), sizeof(size));
      file += header + "data";
      write(name + ".safetensors", file.data(), file.size());
    }
  }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const Folder folder;
  folder.write("model.safetensors.index.json", data, size);
  auto source = tpcrt::WeightSource::open(folder.path());
  if (!source)
    return 0;
  for (const auto &file : source->files())
    if (file.path != folder.path() + "/a.safetensors" &&
        file.path != folder.path() + "/b.safetensors")
      std::abort();
  return 0;
}
