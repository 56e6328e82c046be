// Weights stored in safetensors files. Files are mapped, so opening reads only
// headers. The reader is strict: a file that breaks the format is refused with
// a message that names the file, the tensor, and what was expected and found.
#ifndef TPCRT_SAFETENSORS_H
#define TPCRT_SAFETENSORS_H

#include "tpcrt/ElementType.h"
#include "tpcrt/Error.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace tpcrt {

struct StoredTensor {
  std::string name;
  std::string dtype;               // as in the file: "F32", "BF16", "U8", ...
  std::optional<ElementType> type; // none if the runtime cannot read the dtype
  std::vector<uint64_t> shape;
  const std::byte *data = nullptr; // in the mapped file; any alignment
  uint64_t bytes = 0;
  uint32_t file = 0; // index into WeightSource::files()
};

/// The tensors of one or several safetensors files, and of memory. Cheap to
/// copy; the mapped files live as long as a copy does.
class WeightSource {
public:
  /// No tensors.
  WeightSource() = default;

  /// `path` is a safetensors file, or a folder: with
  /// model.safetensors.index.json the files that it lists, else every
  /// *.safetensors in it.
  static Result<WeightSource> open(const std::string &path);

  /// Opens `path` as one more file.
  Result<void> addFile(const std::string &path);

  /// Adds a tensor that lies in memory, dense and row-major; it lives as long
  /// as a copy of the source does.
  Result<void> addTensor(std::string name, ElementType type,
                         std::vector<uint64_t> shape,
                         std::shared_ptr<const std::byte> data);

  /// By name, or null.
  const StoredTensor *find(std::string_view name) const;
  /// In the order of the files, and in a file by offset.
  const std::vector<StoredTensor> &tensors() const { return list; }

  struct File {
    std::string path;
    std::shared_ptr<const std::byte> bytes;
    uint64_t size = 0;
    bool mapped = true; // else memory that was handed in
  };
  const std::vector<File> &files() const { return openFiles; }

private:
  Result<void> add(std::vector<StoredTensor> tensors, File file);

  std::vector<File> openFiles;
  std::vector<StoredTensor> list;
  std::unordered_map<std::string, size_t> byName;
};

} // namespace tpcrt

#endif // TPCRT_SAFETENSORS_H
