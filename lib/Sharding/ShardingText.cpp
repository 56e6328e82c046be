//===- ShardingText.cpp - Shardings in plan files -------------------------===//

#include "ShardingText.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace tpc;
using llvm::StringRef;

static bool isNameCharacter(char c) {
  return llvm::isAlnum(c) || c == '_' || c == '-' || c == '.';
}

bool tpc::canName(const Mesh &mesh) {
  return llvm::all_of(mesh.names, [](mlir::StringAttr name) {
    return !name.empty() && llvm::all_of(name.getValue(), isNameCharacter);
  });
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

static std::string axisText(const AxisRef &axis) {
  std::string text = axis.name.str();
  if (!axis.isWhole())
    text += ":(" + std::to_string(axis.pre) + ")" + std::to_string(axis.size);
  return text;
}

static std::string axesText(llvm::ArrayRef<AxisRef> axes) {
  return "{" + llvm::join(llvm::map_range(axes, axisText), ", ") + "}";
}

std::string tpc::shardingText(const Sharding &sharding) {
  auto dims = llvm::map_range(
      sharding.dims, [](const AxisList &axes) { return axesText(axes); });
  std::string text = "[" + llvm::join(dims, ", ") + "]";
  for (const PartialAxis &partial : sharding.partial)
    text += " " + stringifyReduction(partial.reduction).str() + " " +
            axesText(partial.axis);
  return text;
}

//===----------------------------------------------------------------------===//
// Reading
//===----------------------------------------------------------------------===//

namespace {

class Parser {
public:
  Parser(StringRef &text, const Mesh &mesh) : text(text), mesh(mesh) {}

  std::optional<Sharding> run(size_t rank) {
    Sharding sharding;
    sharding.mesh = mesh.symbol;
    if (!take("["))
      return std::nullopt;
    for (size_t dim = 0; dim < rank; ++dim)
      if ((dim > 0 && !take(",")) || !takeAxes(sharding.dims.emplace_back()))
        return std::nullopt;
    if (!take("]"))
      return std::nullopt;
    while (auto reduction = takeReduction()) {
      AxisList axes;
      if (!takeAxes(axes))
        return std::nullopt;
      for (const AxisRef &axis : axes)
        sharding.addPartial(axis, *reduction);
    }
    return sharding;
  }

private:
  bool take(StringRef token) {
    text = text.ltrim(' ');
    return text.consume_front(token);
  }

  bool takeAxes(AxisList &axes) {
    if (!take("{"))
      return false;
    if (take("}"))
      return true;
    do
      if (++numAxes > kMostAxes || !takeAxis(axes.emplace_back()))
        return false;
    while (take(","));
    return take("}");
  }

  bool takeAxis(AxisRef &axis) {
    text = text.ltrim(' ');
    StringRef name = text.take_while(isNameCharacter);
    text = text.drop_front(name.size());
    auto known = llvm::find_if(
        mesh.names, [&](mlir::StringAttr own) { return own == name; });
    if (known == mesh.names.end())
      return false;
    axis.name = *known;
    if (!text.consume_front(":"))
      return true;
    // A whole axis is written without sizes.
    return text.consume_front("(") && !text.consumeInteger(10, axis.pre) &&
           text.consume_front(")") && !text.consumeInteger(10, axis.size) &&
           axis.size > 0;
  }

  std::optional<Reduction> takeReduction() {
    text = text.ltrim(' ');
    StringRef word = text.take_while(llvm::isAlpha);
    auto reduction = symbolizeReduction(word);
    if (reduction)
      text = text.drop_front(word.size());
    return reduction;
  }

  /// More than any sharding of a mesh can name.
  static constexpr unsigned kMostAxes = 64;

  StringRef &text;
  const Mesh &mesh;
  unsigned numAxes = 0;
};

} // namespace

std::optional<Sharding> tpc::takeSharding(StringRef &text,
                                          llvm::ArrayRef<int64_t> shape,
                                          const Mesh &mesh,
                                          std::string &error) {
  StringRef before = text;
  auto sharding = Parser(text, mesh).run(shape.size());
  if (!sharding) {
    error = "expected a sharding of " + std::to_string(shape.size()) +
            " dimensions like [{}, {" +
            (mesh.names.empty() ? "tp" : mesh.names.back().str()) +
            "}], found \"" + before.take_front(60).str() + "\"";
    return std::nullopt;
  }
  if (auto problem = mesh.check(*sharding)) {
    error = shardingText(*sharding) + ": " + *problem;
    return std::nullopt;
  }
  if (!sharding->usesAxesOnce()) {
    error = shardingText(*sharding) + ": uses an axis twice";
    return std::nullopt;
  }
  return canonical(std::move(*sharding), shape, mesh);
}
