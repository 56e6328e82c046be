#include "weights/SafetensorsHeader.h"
#include "support/Fail.h"
#include "support/SizeMath.h"

#include <simdjson.h>

#include <algorithm>
#include <cstring>
#include <set>

using namespace tpcrt;
namespace json = simdjson::dom;

namespace {

constexpr uint64_t maxHeaderBytes = 100'000'000; // as the format's own library

constexpr size_t maxDepth = 127; // of nested values, as there too

struct Dtype {
  std::string_view name;
  uint64_t bits;
  std::optional<ElementType> type;
};
constexpr Dtype dtypes[] = {
    {"F32", 32, ElementType::F32},    {"F64", 64, ElementType::F64},
    {"BF16", 16, ElementType::BF16},  {"F16", 16, ElementType::F16},
    {"I32", 32, ElementType::I32},    {"I64", 64, ElementType::I64},
    {"BOOL", 8, ElementType::Bool},   {"U8", 8, std::nullopt},
    {"I8", 8, std::nullopt},          {"U16", 16, std::nullopt},
    {"I16", 16, std::nullopt},        {"U32", 32, std::nullopt},
    {"U64", 64, std::nullopt},        {"C64", 64, std::nullopt},
    {"F8_E4M3", 8, std::nullopt},     {"F8_E5M2", 8, std::nullopt},
    {"F8_E8M0", 8, std::nullopt},     {"F8_E4M3FNUZ", 8, std::nullopt},
    {"F8_E5M2FNUZ", 8, std::nullopt}, {"F6_E2M3", 6, std::nullopt},
    {"F6_E3M2", 6, std::nullopt},     {"F4", 4, std::nullopt}};

const Dtype *findDtype(std::string_view name) {
  for (const Dtype &dtype : dtypes)
    if (dtype.name == name)
      return &dtype;
  return nullptr;
}

/// Elements of less than a byte are packed, and fill the last byte. The sizes
/// of an empty tensor may not overflow either.
std::optional<uint64_t> tensorBytes(const std::vector<uint64_t> &shape,
                                    const Dtype &dtype) {
  if (dtype.bits % 8 == 0)
    return checkedBytes(shape, dtype.bits / 8);
  auto elements = checkedBytes(shape, 1);
  auto bits = elements ? checkedMul(*elements, dtype.bits) : std::nullopt;
  return bits && *bits % 8 == 0 ? std::optional(*bits / 8) : std::nullopt;
}

Result<std::vector<uint64_t>> parseSizes(json::element value,
                                         std::string_view key) {
  json::array array;
  if (value.get(array))
    return fail("expected '{}' to be a list of sizes", key);
  std::vector<uint64_t> sizes;
  for (json::element element : array) {
    uint64_t size;
    if (element.get(size))
      return fail("expected '{}' to be a list of sizes, found the entry {}",
                  key, simdjson::minify(element));
    sizes.push_back(size);
  }
  return sizes;
}

/// One entry of the header; `data` is what the offsets count in.
Result<StoredTensor> parseEntry(json::element value,
                                std::span<const std::byte> data) {
  json::object object;
  if (value.get(object))
    return fail("expected an object");
  std::optional<std::string_view> dtypeName;
  std::optional<std::vector<uint64_t>> shape, offsets;
  for (auto [key, field] : object) {
    if (key == "dtype" && !dtypeName) {
      std::string_view text;
      if (field.get(text))
        return fail("expected 'dtype' to be a string");
      dtypeName = text;
    } else if (key == "shape" && !shape) {
      TPCRT_ASSIGN(shape, parseSizes(field, key));
    } else if (key == "data_offsets" && !offsets) {
      TPCRT_ASSIGN(offsets, parseSizes(field, key));
    } else if (key == "dtype" || key == "shape" || key == "data_offsets") {
      return fail("expected '{}' once, found it twice", key);
    } // what else is said of a tensor does not matter here
  }
  if (!dtypeName || !shape || !offsets)
    return fail("expected dtype, shape and data_offsets");
  const Dtype *dtype = findDtype(*dtypeName);
  if (!dtype)
    return fail("unknown dtype '{}'", *dtypeName);
  if (offsets->size() != 2 || (*offsets)[0] > (*offsets)[1] ||
      (*offsets)[1] > data.size())
    return fail("expected data_offsets [begin, end] inside the {} bytes of "
                "data, found [{}]",
                data.size(), fmt::join(*offsets, ", "));
  uint64_t bytes = (*offsets)[1] - (*offsets)[0];
  auto expected = tensorBytes(*shape, *dtype);
  if (!expected)
    return fail("shape [{}] of {} is too large, or no whole number of bytes",
                fmt::join(*shape, ", "), dtype->name);
  if (*expected != bytes)
    return fail("shape [{}] of {} needs {} bytes, data_offsets hold {}",
                fmt::join(*shape, ", "), dtype->name, *expected, bytes);

  StoredTensor tensor;
  tensor.dtype = dtype->name;
  tensor.type = dtype->type;
  tensor.shape = std::move(*shape);
  tensor.data = data.data() + (*offsets)[0];
  tensor.bytes = bytes;
  return tensor;
}

Result<void> checkMetadata(json::element value) {
  if (value.is_null())
    return {};
  json::object object;
  if (value.get(object))
    return fail("expected '__metadata__' to be an object");
  for (auto [key, text] : object)
    if (!text.is_string())
      return fail("expected '__metadata__' to hold strings only");
  return {};
}

/// The tensors, sorted by offset, follow one another and fill the data.
Result<void> checkCoverage(const std::vector<StoredTensor> &tensors,
                           std::span<const std::byte> data) {
  const std::byte *end = data.data();
  const StoredTensor *previous = nullptr;
  for (const StoredTensor &tensor : tensors) {
    if (tensor.data < end)
      return fail("tensors '{}' and '{}' overlap", previous->name, tensor.name);
    if (tensor.data > end)
      return fail("{} bytes before tensor '{}' belong to no tensor",
                  tensor.data - end, tensor.name);
    end = tensor.data + tensor.bytes;
    previous = &tensor;
  }
  if (end != data.data() + data.size())
    return fail("the last {} bytes belong to no tensor",
                data.data() + data.size() - end);
  return {};
}

} // namespace

Result<std::vector<StoredTensor>>
tpcrt::parseSafetensors(std::span<const std::byte> file) {
  uint64_t headerBytes;
  if (file.size() < sizeof(headerBytes))
    return fail("expected a safetensors header, found {} bytes", file.size());
  std::memcpy(&headerBytes, file.data(), sizeof(headerBytes));
  uint64_t rest = file.size() - sizeof(headerBytes);
  if (headerBytes > rest || headerBytes > maxHeaderBytes)
    return fail("the header claims {} bytes; the file has {} left, and at most "
                "{} are allowed",
                headerBytes, rest, maxHeaderBytes);
  auto *text =
      reinterpret_cast<const char *>(file.data()) + sizeof(headerBytes);
  auto data = file.subspan(sizeof(headerBytes) + headerBytes);

  json::parser parser;
  json::object header;
  auto error = parser.allocate(headerBytes, maxDepth);
  // parse() copies the text, which needs padding behind it.
  if (!error)
    error = parser.parse(text, headerBytes).get(header);
  if (error)
    return fail("the header is not a JSON object: {}",
                simdjson::error_message(error));

  std::vector<StoredTensor> tensors;
  std::set<std::string_view> names;
  for (auto [key, value] : header) {
    if (!names.insert(key).second)
      return fail("two tensors are named '{}'", key);
    if (key == "__metadata__") {
      TPCRT_TRY(checkMetadata(value));
      continue;
    }
    auto tensor = parseEntry(value, data);
    if (!tensor)
      return fail("tensor '{}': {}", key, tensor.error().message);
    tensor->name = key;
    tensors.push_back(std::move(*tensor));
  }
  std::sort(tensors.begin(), tensors.end(), [](const auto &a, const auto &b) {
    return std::tie(a.data, a.bytes, a.name) <
           std::tie(b.data, b.bytes, b.name);
  });
  TPCRT_TRY(checkCoverage(tensors, data));
  return tensors;
}
