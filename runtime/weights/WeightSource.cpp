// Opens safetensors files, alone or as the parts of one model.
#include "support/Fail.h"
#include "support/MappedFile.h"
#include "tpcrt/HostTensor.h"
#include "weights/SafetensorsHeader.h"

#include <simdjson.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <vector>

using namespace tpcrt;
namespace fs = std::filesystem;
namespace json = simdjson::dom;

namespace {

constexpr std::string_view indexName = "model.safetensors.index.json";

/// {"metadata": {...}, "weight_map": {"tensor name": "file name", ...}}
Result<std::map<std::string, std::string>> readIndex(const fs::path &path) {
  TPCRT_ASSIGN(MappedFile file, mapFile(path.string()));
  json::parser parser;
  json::object map;
  auto *text = reinterpret_cast<const char *>(file.bytes.get());
  if (!text || parser.parse(text, file.size)["weight_map"].get(map))
    return fail("'{}': expected a JSON object with an object 'weight_map'",
                path.string());
  std::map<std::string, std::string> result;
  for (auto [tensor, value] : map) {
    std::string_view name;
    if (value.get(name))
      return fail("'{}': expected a file name for tensor '{}'", path.string(),
                  tensor);
    // The files lie beside the index, nowhere else.
    if (name.empty() || name.find('/') != name.npos || name == "." ||
        name == "..")
      return fail("'{}': tensor '{}': '{}' is not a file name", path.string(),
                  tensor, name);
    if (!result.emplace(tensor, name).second)
      return fail("'{}': two entries for tensor '{}'", path.string(), tensor);
  }
  return result;
}

/// A link may lead elsewhere in the folder, and from a snapshot in a cache of
/// Hugging Face models (MODEL/snapshots/REVISION) to the blobs beside it.
Result<void> checkInside(const fs::path &folder, const std::string &name) {
  std::error_code error;
  fs::path home = fs::canonical(folder, error);
  fs::path file = fs::canonical(folder / name, error);
  if (error)
    return fail("'{}' names '{}', which cannot be opened: {}",
                (folder / indexName).string(), name, error.message());
  std::vector<fs::path> allowed = {home};
  if (home.parent_path().filename() == "snapshots")
    allowed.push_back(home.parent_path().parent_path() / "blobs");
  for (const fs::path &place : allowed)
    if (std::mismatch(place.begin(), place.end(), file.begin(), file.end())
            .first == place.end())
      return {};
  return fail("'{}' names '{}', which is a link to '{}': expected a file in "
              "the folder; move it there, or open it by its own name",
              (folder / indexName).string(), name, file.string());
}

Result<WeightSource> openIndexed(const fs::path &folder) {
  TPCRT_ASSIGN(auto index, readIndex(folder / indexName));
  std::set<std::string> names;
  for (auto &[tensor, file] : index)
    names.insert(file);
  WeightSource source;
  for (const std::string &name : names) {
    TPCRT_TRY(checkInside(folder, name));
    TPCRT_TRY(source.addFile((folder / name).string()));
  }
  for (auto &[tensor, file] : index) {
    const StoredTensor *found = source.find(tensor);
    std::string expected = (folder / file).string();
    if (!found || source.files()[found->file].path != expected)
      return fail("'{}': tensor '{}' is not in '{}'",
                  (folder / indexName).string(), tensor, file);
  }
  return source;
}

Result<WeightSource> openFolder(const fs::path &folder) {
  std::error_code error;
  if (fs::exists(folder / indexName, error))
    return openIndexed(folder);
  std::set<std::string> paths; // in a fixed order
  fs::directory_iterator entries(folder, error);
  if (error)
    return fail("cannot read '{}': {}", folder.string(), error.message());
  for (; entries != fs::directory_iterator(); entries.increment(error)) {
    if (entries->path().extension() == ".safetensors")
      paths.insert(entries->path().string());
    if (error)
      return fail("cannot read '{}': {}", folder.string(), error.message());
  }
  if (paths.empty())
    return fail("'{}': expected *.safetensors files or {}, found none",
                folder.string(), indexName);
  WeightSource source;
  for (const std::string &path : paths)
    TPCRT_TRY(source.addFile(path));
  return source;
}

} // namespace

Result<WeightSource> WeightSource::open(const std::string &path) {
  std::error_code error;
  if (fs::is_directory(path, error))
    return openFolder(path);
  WeightSource source;
  TPCRT_TRY(source.addFile(path));
  return source;
}

Result<void> WeightSource::addFile(const std::string &path) {
  TPCRT_ASSIGN(MappedFile file, mapFile(path));
  auto tensors = parseSafetensors({file.bytes.get(), file.size});
  if (!tensors)
    return fail("'{}': {}", path, tensors.error().message);
  return add(std::move(*tensors), {path, std::move(file.bytes), file.size});
}

Result<void> WeightSource::addTensor(std::string name, ElementType type,
                                     std::vector<uint64_t> shape,
                                     std::shared_ptr<const std::byte> data) {
  StoredTensor tensor;
  tensor.name = std::move(name);
  tensor.dtype = typeName(type);
  tensor.type = type;
  tensor.bytes = numElements(shape) * byteSize(type);
  tensor.shape = std::move(shape);
  tensor.data = data.get();
  uint64_t bytes = tensor.bytes;
  return add({std::move(tensor)}, {"memory", std::move(data), bytes, false});
}

Result<void> WeightSource::add(std::vector<StoredTensor> tensors, File file) {
  for (const StoredTensor &tensor : tensors)
    if (const StoredTensor *other = find(tensor.name))
      return fail("tensor '{}' is in both '{}' and '{}'", tensor.name,
                  openFiles[other->file].path, file.path);
  for (StoredTensor &tensor : tensors) {
    tensor.file = openFiles.size();
    byName.emplace(tensor.name, list.size());
    list.push_back(std::move(tensor));
  }
  openFiles.push_back(std::move(file));
  return {};
}

const StoredTensor *WeightSource::find(std::string_view name) const {
  auto found = byName.find(std::string(name));
  return found == byName.end() ? nullptr : &list[found->second];
}
