#include "tpcrt/WeightShards.h"

#include "support/Fail.h"
#include "support/JsonText.h"
#include "support/MappedFile.h"
#include "tpcrt/HostTensor.h"
#include "tpcrt/OutputFile.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>

using namespace tpcrt;
namespace fs = std::filesystem;

namespace {

constexpr const char *manifestName = "tpc-shards.json";
constexpr const char *extension = ".safetensors";
constexpr uint64_t manifestVersion = 1;
constexpr uint64_t maxDevices = 1 << 20;

std::string deviceFile(uint64_t device, uint64_t devices) {
  return fmt::format("device-{:05}-of-{:05}{}", device, devices, extension);
}

//===----------------------------------------------------------------------===//
// Parts of tensors
//===----------------------------------------------------------------------===//

std::vector<uint64_t> shapeOf(const TensorPart &part) {
  std::vector<uint64_t> shape;
  for (const IndexRuns &runs : part)
    shape.push_back(countOf(runs));
  return shape;
}

/// Calls copy(offset in the whole tensor, offset in the dense part, bytes) for
/// every stretch that is contiguous in both.
template <class Copy>
void forEachStretch(const TensorPart &part, const std::vector<uint64_t> &shape,
                    uint64_t elementBytes, Copy copy) {
  uint64_t packed = 0;
  auto visit = [&](auto &self, size_t dim, uint64_t start) -> void {
    uint64_t step = elementBytes;
    for (size_t d = dim + 1; d < shape.size(); ++d)
      step *= shape[d];
    bool restIsWhole = true;
    for (size_t d = dim + 1; d < shape.size(); ++d)
      restIsWhole &= countOf(part[d]) == shape[d];
    for (const IndexRun &run : part[dim]) {
      if (restIsWhole) {
        copy(start + run.begin * step, packed, run.count * step);
        packed += run.count * step;
        continue;
      }
      for (uint64_t i = run.begin; i < run.begin + run.count; ++i)
        self(self, dim + 1, start + i * step);
    }
  };
  visit(visit, 0, 0);
}

uint64_t elementBytes(const StoredTensor &tensor) {
  uint64_t count = numElements(tensor.shape);
  return count > 0 && tensor.bytes % count == 0 ? tensor.bytes / count : 0;
}

Result<void> checkPart(const TensorPart &part, const StoredTensor &tensor) {
  bool good = part.size() == tensor.shape.size() && elementBytes(tensor) > 0;
  for (size_t d = 0; good && d < part.size(); ++d) {
    uint64_t next = 0;
    for (const IndexRun &run : part[d]) {
      uint64_t size = tensor.shape[d];
      good &= run.begin >= next && run.begin <= size && run.count > 0 &&
              run.count <= size - run.begin;
      next = good ? run.begin + run.count : 0;
    }
    good &= !part[d].empty();
  }
  if (!good)
    return fail(
        "tensor '{}' of shape [{}]: expected a part of it, with runs of "
        "indices in every dimension, found another",
        tensor.name, fmt::join(tensor.shape, ", "));
  return {};
}

//===----------------------------------------------------------------------===//
// Folders
//===----------------------------------------------------------------------===//

Result<void> makeEmpty(const fs::path &out) {
  std::error_code error;
  if (fs::exists(out, error) &&
      (!fs::is_directory(out, error) || !fs::is_empty(out, error)))
    return fail("'{}': expected a new or an empty folder, found something in "
                "it; name another",
                out.string());
  fs::create_directories(out, error);
  if (error)
    return fail("cannot make the folder '{}': {}", out.string(),
                error.message());
  return {};
}

/// Copies the files of a folder that are no weights.
Result<void> copyOthers(const fs::path &from, const fs::path &to) {
  std::error_code error;
  for (fs::directory_iterator entry(from, error), end; entry != end && !error;
       entry.increment(error)) {
    const fs::path &path = entry->path();
    if (path.extension() == extension || path.filename() == manifestName ||
        !entry->is_regular_file(error))
      continue;
    fs::copy_file(path, to / path.filename(), error);
    if (error)
      break;
  }
  if (error)
    return fail("cannot copy from '{}' to '{}': {}", from.string(), to.string(),
                error.message());
  return {};
}

//===----------------------------------------------------------------------===//
// Cutting
//===----------------------------------------------------------------------===//

/// What one device holds of a tensor; no part: all of it.
struct Piece {
  const StoredTensor *tensor = nullptr;
  const TensorPart *part = nullptr;

  std::vector<uint64_t> shape() const {
    return part ? shapeOf(*part) : tensor->shape;
  }
  uint64_t bytes() const {
    return part ? numElements(shape()) * elementBytes(*tensor) : tensor->bytes;
  }
};

std::string headerOf(const std::vector<Piece> &pieces) {
  std::string header = "{";
  uint64_t offset = 0;
  for (const Piece &piece : pieces) {
    header += fmt::format(
        R"({}{}:{{"dtype":{},"shape":[{}],)"
        R"("data_offsets":[{},{}]}})",
        header.size() > 1 ? "," : "", jsonText(piece.tensor->name),
        jsonText(piece.tensor->dtype), fmt::join(piece.shape(), ","), offset,
        offset + piece.bytes());
    offset += piece.bytes();
  }
  header += "}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  return header;
}

Result<void> writeHeader(OutputFile &file, const std::string &header) {
  uint64_t size = header.size();
  TPCRT_TRY(file.write(&size, sizeof(size)));
  return file.write(header.data(), size);
}

Result<void> writeDevice(const std::vector<Piece> &pieces,
                         const std::string &path) {
  TPCRT_ASSIGN(OutputFile file, OutputFile::create(path));
  TPCRT_TRY(writeHeader(file, headerOf(pieces)));
  std::vector<std::byte> dense;
  for (const Piece &piece : pieces) {
    const StoredTensor &tensor = *piece.tensor;
    if (piece.part) {
      dense.resize(piece.bytes());
      forEachStretch(*piece.part, tensor.shape, elementBytes(tensor),
                     [&](uint64_t whole, uint64_t packed, uint64_t bytes) {
                       std::memcpy(dense.data() + packed, tensor.data + whole,
                                   bytes);
                     });
      TPCRT_TRY(file.write(dense.data(), dense.size()));
    } else {
      TPCRT_TRY(file.write(tensor.data, tensor.bytes));
    }
    releasePages(tensor.data, tensor.bytes);
  }
  return file.commit();
}

std::string partText(const TensorPart &part) {
  std::string text = "[";
  for (const IndexRuns &runs : part) {
    text += text.size() > 1 ? ",[" : "[";
    for (size_t i = 0; i < runs.size(); ++i)
      text +=
          fmt::format("{}[{},{}]", i ? "," : "", runs[i].begin, runs[i].count);
    text += "]";
  }
  return text + "]";
}

std::string manifestOf(const WeightSource &weights, uint64_t devices,
                       const std::vector<SplitTensor> &split) {
  std::string text = fmt::format(R"({{"version":{},"devices":{},"files":{{)",
                                 manifestVersion, devices);
  for (size_t i = 0; i < weights.files().size(); ++i) {
    const WeightSource::File &file = weights.files()[i];
    uint64_t size;
    std::memcpy(&size, file.bytes.get(), sizeof(size));
    std::string_view header(
        reinterpret_cast<const char *>(file.bytes.get()) + sizeof(size), size);
    text += fmt::format("{}\n{}:{}", i ? "," : "",
                        jsonText(fs::path(file.path).filename().string()),
                        jsonText(header));
  }
  text += "},\"split\":{";
  for (size_t i = 0; i < split.size(); ++i) {
    text += fmt::format("{}\n{}:[", i ? "," : "", jsonText(split[i].name));
    for (size_t d = 0; d < devices; ++d)
      text += (d ? "," : "") + partText(split[i].devices[d]);
    text += "]";
  }
  return text + "}}\n";
}

Result<void> writeText(const std::string &path, const std::string &text) {
  TPCRT_ASSIGN(OutputFile file, OutputFile::create(path));
  TPCRT_TRY(file.write(text.data(), text.size()));
  return file.commit();
}

} // namespace

Result<void> tpcrt::writeShards(const std::string &folder, uint64_t devices,
                                const std::vector<SplitTensor> &split,
                                const std::string &out) {
  TPCRT_ASSIGN(WeightSource weights, WeightSource::open(folder));
  std::map<std::string_view, const SplitTensor *> byName;
  for (const SplitTensor &tensor : split) {
    const StoredTensor *stored = weights.find(tensor.name);
    if (!stored || tensor.devices.size() != devices)
      return fail("tensor '{}': expected it in '{}' and its parts on {} "
                  "devices, found {}",
                  tensor.name, folder, devices,
                  stored ? fmt::format("{} parts", tensor.devices.size())
                         : "no such tensor");
    for (const TensorPart &part : tensor.devices)
      if (!part.empty())
        TPCRT_TRY(checkPart(part, *stored));
    byName[tensor.name] = &tensor;
  }
  TPCRT_TRY(makeEmpty(out));
  TPCRT_TRY(copyOthers(folder, out));
  for (uint64_t device = 0; device < devices; ++device) {
    std::vector<Piece> pieces;
    for (const StoredTensor &tensor : weights.tensors()) {
      auto found = byName.find(tensor.name);
      const TensorPart *part =
          found == byName.end() ? nullptr : &found->second->devices[device];
      if (!part || !part->empty())
        pieces.push_back({&tensor, part});
    }
    TPCRT_TRY(writeDevice(pieces, fs::path(out) / deviceFile(device, devices)));
  }
  // Last: a folder with it is whole.
  return writeText(fs::path(out) / manifestName,
                   manifestOf(weights, devices, split));
}

//===----------------------------------------------------------------------===//
// Putting together
//===----------------------------------------------------------------------===//

namespace {

struct Manifest {
  uint64_t devices = 0;
  std::vector<std::pair<std::string, std::string>> files; // name, header
  std::map<std::string, std::vector<TensorPart>, std::less<>> split;
};

/// Reads the manifest; simdjson's exceptions end in one message.
class ManifestReader {
public:
  static Result<Manifest> read(const std::string &folder) {
    std::string path = fs::path(folder) / manifestName;
    try {
      simdjson::dom::parser parser;
      simdjson::dom::element root = parser.load(path);
      Manifest manifest;
      uint64_t version = root["version"];
      manifest.devices = root["devices"];
      if (version != manifestVersion || manifest.devices < 1 ||
          manifest.devices > maxDevices)
        return fail("'{}': expected version {} and 1 to {} devices, found {} "
                    "and {}",
                    path, manifestVersion, maxDevices, version,
                    manifest.devices);
      for (auto [name, header] : root["files"].get_object())
        manifest.files.push_back(
            {std::string(name), std::string(header.get_string().value())});
      for (auto [name, devices] : root["split"].get_object())
        for (simdjson::dom::element part : devices.get_array())
          manifest.split[std::string(name)].push_back(readPart(part));
      for (const auto &[name, parts] : manifest.split)
        if (parts.size() != manifest.devices)
          return fail("'{}': tensor '{}': expected parts on {} devices, found "
                      "{}",
                      path, name, manifest.devices, parts.size());
      return manifest;
    } catch (const simdjson::simdjson_error &error) {
      return fail("'{}': expected what tpc-shard writes, found: {}", path,
                  error.what());
    }
  }

private:
  static TensorPart readPart(simdjson::dom::element element) {
    TensorPart part;
    for (simdjson::dom::element runs : element.get_array()) {
      IndexRuns &list = part.emplace_back();
      for (simdjson::dom::element run : runs.get_array())
        list.push_back({run.at(0).get_uint64(), run.at(1).get_uint64()});
    }
    return part;
  }
};

class Merger {
public:
  static Result<Merger> open(const std::string &folder) {
    Merger merger;
    TPCRT_ASSIGN(merger.manifest, ManifestReader::read(folder));
    for (uint64_t device = 0; device < merger.manifest.devices; ++device) {
      TPCRT_ASSIGN(
          WeightSource source,
          WeightSource::open(fs::path(folder) /
                             deviceFile(device, merger.manifest.devices)));
      merger.sources.push_back(std::move(source));
    }
    return merger;
  }

  Result<void> writeFile(const std::string &name, const std::string &header,
                         const fs::path &out) {
    // The name is one of a file in the folder, nothing else.
    if (fs::path(name).filename() != name || !name.ends_with(extension))
      return fail("{}: expected the name of a safetensors file, found '{}'",
                  manifestName, name);
    TPCRT_ASSIGN(OutputFile file, OutputFile::create(out / name));
    uint64_t size = header.size();
    TPCRT_TRY(file.write(&size, sizeof(size)));
    TPCRT_TRY(file.write(header.data(), size));
    TPCRT_ASSIGN(auto tensors, tensorsOf(header));
    for (const StoredTensor &tensor : tensors)
      TPCRT_TRY(writeTensor(tensor, file));
    return file.commit();
  }

  const Manifest &description() const { return manifest; }

private:
  /// Name, type, shape and size of a file's tensors, by offset.
  static Result<std::vector<StoredTensor>>
  tensorsOf(const std::string &header) {
    std::vector<StoredTensor> tensors;
    std::vector<std::pair<uint64_t, StoredTensor>> byOffset;
    try {
      simdjson::dom::parser parser;
      simdjson::dom::element root = parser.parse(header.data(), header.size());
      for (auto [name, entry] : root.get_object()) {
        if (name == "__metadata__")
          continue;
        StoredTensor tensor;
        tensor.name = name;
        tensor.dtype = entry["dtype"].get_string().value();
        for (uint64_t size : entry["shape"].get_array())
          tensor.shape.push_back(size);
        uint64_t begin = entry["data_offsets"].at(0);
        uint64_t end = entry["data_offsets"].at(1);
        tensor.bytes = end - begin;
        byOffset.push_back({begin, std::move(tensor)});
      }
    } catch (const simdjson::simdjson_error &error) {
      return fail("{}: expected the headers of safetensors files, found: {}",
                  manifestName, error.what());
    }
    std::ranges::stable_sort(byOffset, {}, [](const auto &entry) {
      return std::pair(entry.first, entry.second.bytes);
    });
    uint64_t next = 0;
    for (auto &[begin, tensor] : byOffset) {
      if (begin != next)
        return fail("{}: tensor '{}': expected it at byte {}, found {}",
                    manifestName, tensor.name, next, begin);
      next += tensor.bytes;
      tensors.push_back(std::move(tensor));
    }
    return tensors;
  }

  Result<void> writeTensor(const StoredTensor &tensor, OutputFile &file) {
    auto split = manifest.split.find(tensor.name);
    if (split == manifest.split.end()) {
      const StoredTensor *whole = sources[0].find(tensor.name);
      if (!whole || whole->bytes != tensor.bytes ||
          whole->dtype != tensor.dtype)
        return fail(
            "'{}': expected tensor '{}' of {} bytes, found {}",
            sources[0].files()[0].path, tensor.name, tensor.bytes,
            whole ? fmt::format("{} of {} bytes", whole->dtype, whole->bytes)
                  : "none");
      TPCRT_TRY(file.write(whole->data, whole->bytes));
      releasePages(whole->data, whole->bytes);
      return {};
    }
    dense.assign(tensor.bytes, std::byte(0));
    uint64_t filled = 0;
    std::vector<const TensorPart *> done;
    for (uint64_t device = 0; device < manifest.devices; ++device) {
      const TensorPart &part = split->second[device];
      auto isSame = [&](const TensorPart *other) { return *other == part; };
      if (part.empty() || std::ranges::any_of(done, isSame))
        continue;
      done.push_back(&part);
      TPCRT_ASSIGN(uint64_t bytes, fill(tensor, part, sources[device]));
      filled += bytes;
    }
    if (filled != tensor.bytes)
      return fail("tensor '{}': expected parts of {} bytes together, found {}",
                  tensor.name, tensor.bytes, filled);
    return file.write(dense.data(), dense.size());
  }

  /// Puts a device's part into `dense`; its bytes.
  Result<uint64_t> fill(const StoredTensor &tensor, const TensorPart &part,
                        const WeightSource &source) {
    TPCRT_TRY(checkPart(part, tensor));
    const StoredTensor *piece = source.find(tensor.name);
    if (!piece || piece->shape != shapeOf(part) || piece->dtype != tensor.dtype)
      return fail("'{}': expected tensor '{}' of {} and shape [{}], found {}",
                  source.files()[0].path, tensor.name, tensor.dtype,
                  fmt::join(shapeOf(part), ", "),
                  piece ? fmt::format("{} and [{}]", piece->dtype,
                                      fmt::join(piece->shape, ", "))
                        : "none");
    forEachStretch(part, tensor.shape, elementBytes(tensor),
                   [&](uint64_t whole, uint64_t packed, uint64_t bytes) {
                     std::memcpy(dense.data() + whole, piece->data + packed,
                                 bytes);
                   });
    releasePages(piece->data, piece->bytes);
    return piece->bytes;
  }

  Manifest manifest;
  std::vector<WeightSource> sources; // by device
  std::vector<std::byte> dense;
};

} // namespace

Result<void> tpcrt::mergeShards(const std::string &folder,
                                const std::string &out) {
  TPCRT_ASSIGN(Merger merger, Merger::open(folder));
  TPCRT_TRY(makeEmpty(out));
  TPCRT_TRY(copyOthers(folder, out));
  for (const auto &[name, header] : merger.description().files)
    TPCRT_TRY(merger.writeFile(name, header, out));
  return {};
}
