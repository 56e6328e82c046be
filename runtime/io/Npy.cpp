// The .npy format: "\x93NUMPY", version, length of the header, the header (a
// Python dictionary with descr, fortran_order and shape), the elements.
#include "tpcrt/Npy.h"

#include "support/Fail.h"
#include "support/MappedFile.h"
#include "support/SizeMath.h"
#include "support/StridedCopy.h"

#include <charconv>
#include <cstring>
#include <span>

using namespace tpcrt;

namespace {

constexpr std::string_view magic = "\x93NUMPY";

constexpr std::string_view descrs[numElementTypes] = {
    "<f4", "<f8", "<V2", "<f2", "<i4", "<i8", "|b1"};

std::optional<ElementType> parseDescr(std::string_view descr) {
  for (unsigned i = 0; i < numElementTypes; ++i)
    if (descrs[i] == descr)
      return static_cast<ElementType>(i);
  if (descr == "|V2" || descr == "<u2")
    return ElementType::BF16;
  return std::nullopt;
}

struct NpyHeader {
  std::string descr;
  bool fortranOrder = false;
  std::vector<uint64_t> shape;
};

/// Parses {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }.
class HeaderParser {
public:
  explicit HeaderParser(std::string_view text) : text(text) {}

  /// Empty if the text is no such dictionary.
  std::optional<NpyHeader> parse() {
    NpyHeader header;
    bool descr = false, order = false, shape = false;
    if (!skip('{'))
      return std::nullopt;
    while (!skip('}')) {
      auto key = parseString();
      if (!key || !skip(':'))
        return std::nullopt;
      bool ok = false;
      if (*key == "descr" && !descr)
        descr = ok = parseDescr(header.descr);
      else if (*key == "fortran_order" && !order)
        order = ok = parseBool(header.fortranOrder);
      else if (*key == "shape" && !shape)
        shape = ok = parseShape(header.shape);
      if (!ok)
        return std::nullopt;
      if (!skip(',') && peek() != '}')
        return std::nullopt;
    }
    peek();
    if (!descr || !order || !shape || !text.empty())
      return std::nullopt;
    return header;
  }

private:
  /// The next character after white space; 0 at the end.
  char peek() {
    while (!text.empty() && (text[0] == ' ' || text[0] == '\n'))
      text.remove_prefix(1);
    return text.empty() ? '\0' : text[0];
  }
  bool skip(char c) {
    if (peek() != c)
      return false;
    text.remove_prefix(1);
    return true;
  }
  std::optional<std::string_view> parseString() {
    char quote = peek();
    if (quote != '\'' && quote != '"')
      return std::nullopt;
    size_t end = text.find(quote, 1);
    if (end == text.npos)
      return std::nullopt;
    std::string_view result = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    return result;
  }
  bool parseDescr(std::string &descr) {
    auto value = parseString();
    descr = value.value_or("");
    return value.has_value();
  }
  bool parseBool(bool &value) {
    peek();
    value = text.starts_with("True");
    if (!value && !text.starts_with("False"))
      return false;
    text.remove_prefix(value ? 4 : 5);
    return true;
  }
  bool parseShape(std::vector<uint64_t> &shape) {
    if (!skip('('))
      return false;
    while (!skip(')')) {
      uint64_t size;
      peek();
      auto [end, error] =
          std::from_chars(text.data(), text.data() + text.size(), size);
      if (error != std::errc())
        return false;
      text.remove_prefix(end - text.data());
      shape.push_back(size);
      if (!skip(',') && peek() != ')')
        return false;
    }
    return true;
  }

  std::string_view text;
};

/// Splits a file into the header's text and the elements.
Result<std::pair<std::string_view, std::span<const std::byte>>>
splitFile(std::span<const std::byte> file) {
  if (file.size() < 10 ||
      std::memcmp(file.data(), magic.data(), magic.size()) != 0)
    return fail("not a .npy file");
  unsigned version = static_cast<unsigned>(file[6]);
  if (version < 1 || version > 3)
    return fail("expected .npy version 1, 2 or 3, found {}", version);
  size_t lengthBytes = version == 1 ? 2 : 4, start = 8 + lengthBytes;
  uint32_t length = 0;
  if (file.size() < start)
    return fail("the file ends inside its header");
  std::memcpy(&length, file.data() + 8, lengthBytes);
  if (file.size() - start < length)
    return fail("the file ends inside its header");
  return std::pair(
      std::string_view(reinterpret_cast<const char *>(file.data()) + start,
                       length),
      file.subspan(start + length));
}

Result<HostTensor> parseNpy(std::span<const std::byte> file) {
  TPCRT_ASSIGN(auto parts, splitFile(file));
  auto header = HeaderParser(parts.first).parse();
  if (!header)
    return fail("expected a header with descr, fortran_order and shape, found "
                "'{}'",
                parts.first);
  auto type = parseDescr(header->descr);
  if (!type)
    return fail("cannot read elements of type '{}'; expected one of {}, |V2, "
                "<u2",
                header->descr, fmt::join(descrs, ", "));
  auto bytes = checkedBytes(header->shape, byteSize(*type));
  if (!bytes || *bytes != parts.second.size())
    return fail("shape [{}] of '{}' needs {} bytes, found {}",
                fmt::join(header->shape, ", "), header->descr,
                bytes ? std::to_string(*bytes) : "too many",
                parts.second.size());
  HostTensor tensor(*type, header->shape);
  std::vector<int64_t> dst = denseStrides(header->shape);
  std::vector<CopyDim> dims;
  int64_t fortranStride = 1;
  for (size_t d = 0; d < dst.size(); ++d) {
    int64_t src = header->fortranOrder ? fortranStride : dst[d];
    dims.push_back({header->shape[d], dst[d], src});
    fortranStride *= header->shape[d];
  }
  copyStrided(tensor.data(), *type, parts.second.data(), *type, dims);
  return tensor;
}

std::string formatHeader(const HostTensor &tensor) {
  std::string shape;
  for (uint64_t size : tensor.shape())
    shape += fmt::format("{}, ", size);
  std::string text =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}",
                  descrs[static_cast<unsigned>(tensor.type())], shape);
  // The elements start at a multiple of 64 bytes.
  constexpr size_t fixed = 10, alignment = 64;
  size_t total =
      (fixed + text.size() + 1 + alignment - 1) / alignment * alignment;
  text.resize(total - fixed - 1, ' ');
  text += '\n';
  std::string header(magic);
  header += {'\x01', '\x00', static_cast<char>(text.size() & 0xff),
             static_cast<char>(text.size() >> 8)};
  return header + text;
}

} // namespace

Result<HostTensor> tpcrt::readNpy(const std::string &path) {
  TPCRT_ASSIGN(MappedFile file, mapFile(path));
  auto tensor = parseNpy({file.bytes.get(), file.size});
  if (!tensor)
    return fail("'{}': {}", path, tensor.error().message);
  return tensor;
}

Result<OutputFile> tpcrt::prepareNpy(const std::string &path,
                                     const HostTensor &tensor) {
  TPCRT_ASSIGN(OutputFile file, OutputFile::create(path));
  std::string header = formatHeader(tensor);
  TPCRT_TRY(file.write(header.data(), header.size()));
  TPCRT_TRY(file.write(tensor.data(), tensor.byteSize()));
  return file;
}

Result<void> tpcrt::writeNpyFiles(const std::vector<NpyOutput> &outputs) {
  std::vector<OutputFile> files;
  for (const auto &[path, tensor] : outputs) {
    TPCRT_ASSIGN(OutputFile file, prepareNpy(path, *tensor));
    files.push_back(std::move(file));
  }
  return commitAll(std::move(files));
}

Result<void> tpcrt::writeNpy(const std::string &path,
                             const HostTensor &tensor) {
  return writeNpyFiles({{path, &tensor}});
}
