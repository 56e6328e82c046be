#include "tpcrt/TensorSpec.h"

#include "support/Fail.h"
#include "support/Float16.h"
#include "support/SizeMath.h"
#include "tpcrt/Npy.h"

#include <charconv>
#include <cstring>
#include <new>

using namespace tpcrt;

namespace {

struct TensorType {
  ElementType type;
  std::vector<uint64_t> shape;
};

/// "2x3xf32"
std::optional<TensorType> parseTensorType(std::string_view text) {
  TensorType result;
  while (!text.empty() && text[0] >= '0' && text[0] <= '9') {
    uint64_t size;
    auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), size);
    if (error != std::errc() || end == text.data() + text.size() || *end != 'x')
      return std::nullopt;
    result.shape.push_back(size);
    text.remove_prefix(end + 1 - text.data());
  }
  auto type = parseTypeName(text);
  if (!type)
    return std::nullopt;
  result.type = *type;
  return result;
}

template <class Number>
bool parseNumber(std::string_view text, std::byte *out) {
  Number value;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  std::memcpy(out, &value, sizeof(value));
  return error == std::errc() && end == text.data() + text.size();
}

template <class Stored> bool parseSmall(std::string_view text, std::byte *out) {
  float value;
  bool ok = parseNumber<float>(text, reinterpret_cast<std::byte *>(&value));
  Stored stored(value);
  std::memcpy(out, &stored, sizeof(stored));
  return ok;
}

bool parseElement(ElementType type, std::string_view text, std::byte *out) {
  switch (type) {
  case ElementType::F32:
    return parseNumber<float>(text, out);
  case ElementType::F64:
    return parseNumber<double>(text, out);
  case ElementType::BF16:
    return parseSmall<BFloat16>(text, out);
  case ElementType::F16:
    return parseSmall<Half>(text, out);
  case ElementType::I32:
    return parseNumber<int32_t>(text, out);
  case ElementType::I64:
    return parseNumber<int64_t>(text, out);
  case ElementType::Bool:
    *out = std::byte{text == "true" || text == "1"};
    return text == "true" || text == "1" || text == "false" || text == "0";
  }
  return false;
}

/// "1,2,3" into a tensor; a single value fills it.
Result<HostTensor> parseElements(const TensorType &type,
                                 std::string_view text) {
  auto bytes = checkedBytes(type.shape, byteSize(type.type));
  constexpr uint64_t maxBytes = uint64_t(1) << 40;
  if (!bytes || *bytes > maxBytes)
    return fail("the shape is too large: at most {} bytes are read", maxBytes);
  HostTensor tensor;
  try {
    tensor = HostTensor(type.type, type.shape);
  } catch (const std::bad_alloc &) {
    return fail("out of memory for {} bytes", *bytes);
  }
  uint64_t elementSize = byteSize(type.type), expected = tensor.size();
  uint64_t found = 0;
  std::byte element[8];
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    if (!parseElement(type.type, item, element))
      return fail("element {} '{}' is not a value of {}", found, item,
                  typeName(type.type));
    if (found < expected)
      std::memcpy(tensor.data() + found * elementSize, element, elementSize);
    ++found;
    text.remove_prefix(comma == text.npos ? text.size() : comma + 1);
    if (comma != text.npos && text.empty())
      return fail("expected a value after the last comma");
  }
  if (found == 1)
    for (; found < expected; ++found)
      std::memcpy(tensor.data() + found * elementSize, element, elementSize);
  else if (found != expected)
    return fail("expected {} elements or one for all, found {}", expected,
                found);
  return tensor;
}

std::string formatElement(ElementType type, const std::byte *element) {
  auto as = [&]<class T>(T value) {
    std::memcpy(&value, element, sizeof(T));
    return value;
  };
  switch (type) {
  case ElementType::F32:
    return fmt::format("{}", as(float()));
  case ElementType::F64:
    return fmt::format("{}", as(double()));
  case ElementType::BF16:
    return fmt::format("{}", static_cast<float>(as(BFloat16())));
  case ElementType::F16:
    return fmt::format("{}", static_cast<float>(as(Half())));
  case ElementType::I32:
    return fmt::format("{}", as(int32_t()));
  case ElementType::I64:
    return fmt::format("{}", as(int64_t()));
  case ElementType::Bool:
    return *element == std::byte{0} ? "false" : "true";
  }
  return "";
}

} // namespace

Result<NamedTensor> tpcrt::parseInputSpec(std::string_view spec) {
  size_t equals = spec.find('=');
  if (equals == spec.npos || equals == 0)
    return fail("input '{}': expected name=@file.npy or name=2x3xf32=values",
                spec);
  std::string name(spec.substr(0, equals));
  std::string_view value = spec.substr(equals + 1);
  if (value.starts_with('@')) {
    auto tensor = readNpy(std::string(value.substr(1)));
    if (!tensor)
      return fail("input '{}': {}", name, tensor.error().message);
    return NamedTensor{name, std::move(*tensor)};
  }
  size_t second = value.find('=');
  auto type = parseTensorType(value.substr(0, second));
  if (second == value.npos || !type)
    return fail("input '{}': expected @file.npy or 2x3xf32=values, found '{}'",
                name, value);
  auto tensor = parseElements(*type, value.substr(second + 1));
  if (!tensor)
    return fail("input '{}': {}", name, tensor.error().message);
  return NamedTensor{name, std::move(*tensor)};
}

Result<OutputSpec> tpcrt::parseOutputSpec(std::string_view spec) {
  size_t equals = spec.find('=');
  if (equals == spec.npos || equals == 0 ||
      !spec.substr(equals + 1).starts_with('@') || spec.size() == equals + 2)
    return fail("output '{}': expected name=@file.npy", spec);
  return OutputSpec{std::string(spec.substr(0, equals)),
                    std::string(spec.substr(equals + 2))};
}

Result<std::vector<HostTensor>>
tpcrt::orderByName(std::string_view what, const std::vector<std::string> &names,
                   std::vector<NamedTensor> given) {
  std::vector<HostTensor> result(names.size());
  std::vector<bool> seen(names.size());
  for (NamedTensor &tensor : given) {
    size_t i = 0;
    while (i < names.size() && names[i] != tensor.name)
      ++i;
    if (i == names.size())
      return fail("there is no {0} '{1}'; expected the {0}s [{2}]", what,
                  tensor.name, fmt::join(names, ", "));
    if (seen[i])
      return fail("{} '{}' is given twice", what, tensor.name);
    seen[i] = true;
    result[i] = std::move(tensor.value);
  }
  for (size_t i = 0; i < names.size(); ++i)
    if (!seen[i])
      return fail("{} '{}' is missing", what, names[i]);
  return result;
}

std::string tpcrt::formatTensor(const HostTensor &tensor,
                                uint64_t maxElements) {
  std::string text = tensor.describe() + "=";
  for (uint64_t i = 0; i < tensor.size(); ++i) {
    if (i > 0)
      text += ',';
    if (i == maxElements)
      return text + "...";
    text += formatElement(tensor.type(),
                          tensor.data() + i * byteSize(tensor.type()));
  }
  return text;
}
