//===- TpcAttrs.cpp - Attributes of the tpc dialect -----------------------===//

#include "mlir/IR/DialectImplementation.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace tpc;

#define GET_ATTRDEF_CLASSES
#include "tpc/Dialect/Tpc/TpcAttrs.cpp.inc"

void TpcDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "tpc/Dialect/Tpc/TpcAttrs.cpp.inc"
      >();
}

//===----------------------------------------------------------------------===//
// Axis lists: {"dp", "tp":(2)4}
//===----------------------------------------------------------------------===//

constexpr int64_t kMaxDevices = 65536;

static ParseResult parseAxis(AsmParser &parser, AxisRef &axis) {
  std::string name;
  if (parser.parseString(&name))
    return failure();
  axis.name = StringAttr::get(parser.getContext(), name);
  if (failed(parser.parseOptionalColon()))
    return success();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLParen() || parser.parseInteger(axis.pre) ||
      parser.parseRParen() || parser.parseInteger(axis.size))
    return failure();
  if (axis.pre < 1 || axis.size < 1 || axis.pre > kMaxDevices ||
      axis.size > kMaxDevices)
    return parser.emitError(loc, "expected sub-axis sizes from 1 to ")
           << kMaxDevices;
  return success();
}

ParseResult tpc::parseAxisList(AsmParser &parser, AxisList &axes, bool *open) {
  return parser.parseCommaSeparatedList(
      AsmParser::Delimiter::Braces, [&]() -> ParseResult {
        if (open && succeeded(parser.parseOptionalQuestion())) {
          *open = true;
          return success();
        }
        return parseAxis(parser, axes.emplace_back());
      });
}

void tpc::printAxisList(llvm::raw_ostream &os, ArrayRef<AxisRef> axes,
                        bool open) {
  os << '{';
  llvm::interleaveComma(axes, os, [&](const AxisRef &axis) {
    os << '"';
    llvm::printEscapedString(axis.name.getValue(), os);
    os << '"';
    if (!axis.isWhole())
      os << ":(" << axis.pre << ')' << axis.size;
  });
  if (open)
    os << (axes.empty() ? "?" : ", ?");
  os << '}';
}

/// Whether no axis, nor part of one, occurs twice in the list.
static bool axesOnce(ArrayRef<AxisRef> axes) {
  for (auto [i, axis] : llvm::enumerate(axes))
    for (const AxisRef &other : axes.drop_front(i + 1))
      if (axis.overlaps(other))
        return false;
  return true;
}

//===----------------------------------------------------------------------===//
// MeshAttr
//===----------------------------------------------------------------------===//

Attribute MeshAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  SmallVector<StringAttr> names;
  SmallVector<int64_t> sizes;
  auto parseOne = [&]() -> ParseResult {
    std::string name;
    if (parser.parseString(&name) || parser.parseEqual() ||
        parser.parseInteger(sizes.emplace_back()))
      return failure();
    names.push_back(StringAttr::get(parser.getContext(), name));
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater,
                                     parseOne))
    return {};
  return parser.getChecked<MeshAttr>(loc, parser.getContext(), names, sizes);
}

void MeshAttr::print(AsmPrinter &printer) const {
  printer << '<';
  llvm::interleaveComma(
      llvm::zip(getNames(), getSizes()), printer, [&](auto axis) {
        printer << std::get<0>(axis) << " = " << std::get<1>(axis);
      });
  printer << '>';
}

LogicalResult MeshAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               ArrayRef<StringAttr> names,
                               ArrayRef<int64_t> sizes) {
  llvm::SmallDenseSet<StringAttr> seen;
  int64_t devices = 1;
  for (auto [name, size] : llvm::zip_equal(names, sizes)) {
    if (!seen.insert(name).second)
      return emitError() << "mesh: C1: axis " << name << " occurs twice";
    if (size < 1)
      return emitError() << "mesh: C2: axis " << name
                         << " needs a size of at least 1, found " << size;
    if (size > kMaxDevices || (devices *= size) > kMaxDevices)
      return emitError() << "mesh: C3: more than " << kMaxDevices << " devices";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// AxesAttr
//===----------------------------------------------------------------------===//

Attribute AxesAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  StringAttr mesh;
  AxisList axes;
  if (parser.parseSymbolName(mesh) || parseAxisList(parser, axes))
    return {};
  return parser.getChecked<AxesAttr>(loc, parser.getContext(),
                                     FlatSymbolRefAttr::get(mesh), axes);
}

void AxesAttr::print(AsmPrinter &printer) const {
  printer << getMesh();
  printAxisList(printer.getStream(), getAxes());
}

LogicalResult AxesAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               FlatSymbolRefAttr mesh, ArrayRef<AxisRef> axes) {
  if (!axesOnce(axes))
    return emitError() << "axes: C1: an axis occurs twice";
  return success();
}

//===----------------------------------------------------------------------===//
// ShardingAttr
//===----------------------------------------------------------------------===//

Attribute ShardingAttr::parse(AsmParser &parser, Type) {
  SMLoc loc = parser.getCurrentLocation();
  Sharding sharding;
  StringAttr mesh;
  bool anyOpen = false;
  auto parseDim = [&]() -> ParseResult {
    bool open = false;
    if (parseAxisList(parser, sharding.dims.emplace_back(), &open))
      return failure();
    sharding.open.push_back(open);
    anyOpen |= open;
    return success();
  };
  if (parser.parseLess() || parser.parseSymbolName(mesh) ||
      parser.parseComma() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseDim))
    return {};
  sharding.mesh = FlatSymbolRefAttr::get(mesh);
  if (!anyOpen)
    sharding.open.clear();
  while (succeeded(parser.parseOptionalComma())) {
    SMLoc keywordLoc = parser.getCurrentLocation();
    StringRef keyword;
    AxisList axes;
    if (parser.parseKeyword(&keyword) || parseAxisList(parser, axes))
      return {};
    std::optional<Reduction> reduction = symbolizeReduction(keyword);
    if (!reduction) {
      parser.emitError(keywordLoc, "expected sum, max or min, found ")
          << keyword;
      return {};
    }
    for (const AxisRef &axis : axes)
      sharding.addPartial(axis, *reduction);
  }
  if (parser.parseGreater())
    return {};
  return parser.getChecked<ShardingAttr>(loc, parser.getContext(),
                                         std::move(sharding));
}

static void printSharding(llvm::raw_ostream &os, const Sharding &sharding) {
  os << '[';
  llvm::interleaveComma(llvm::enumerate(sharding.dims), os, [&](auto dim) {
    printAxisList(os, dim.value(), sharding.isOpen(dim.index()));
  });
  os << ']';
  for (Reduction reduction : {Reduction::Sum, Reduction::Max, Reduction::Min}) {
    AxisList axes;
    for (const PartialAxis &p : sharding.partial)
      if (p.reduction == reduction)
        axes.push_back(p.axis);
    if (axes.empty())
      continue;
    os << ", " << stringifyReduction(reduction) << ' ';
    printAxisList(os, axes);
  }
}

void ShardingAttr::print(AsmPrinter &printer) const {
  printer << '<' << getValue().mesh << ", ";
  printSharding(printer.getStream(), getValue());
  printer << '>';
}

std::string tpc::toString(const Sharding &sharding) {
  std::string text;
  llvm::raw_string_ostream os(text);
  printSharding(os, sharding);
  return text;
}

LogicalResult ShardingAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                   Sharding sharding) {
  if (!sharding.usesAxesOnce())
    return emitError() << "sharding: C2: an axis is used twice in "
                       << toString(sharding);
  return success();
}

LogicalResult ShardingAttr::verifyEncoding(
    ArrayRef<int64_t> shape, Type elementType,
    function_ref<InFlightDiagnostic()> emitError) const {
  if (getValue().dims.size() != shape.size())
    return emitError() << "sharding: C1: expected one entry per dimension ("
                       << shape.size() << "), found " << getValue().dims.size();
  if (!getValue().open.empty())
    return emitError() << "sharding: C3: a type has no open dimensions";
  return success();
}

//===----------------------------------------------------------------------===//
// ViewStepAttr: <reshape [2, 3]>, <slice [0, 1] [2, 2]>
//===----------------------------------------------------------------------===//

static ParseResult parseInts(AsmParser &parser,
                             SmallVectorImpl<int64_t> &ints) {
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&]() {
    return parser.parseInteger(ints.emplace_back());
  });
}

ViewStepAttr tpc::parseViewStep(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  StringRef keyword;
  SmallVector<int64_t> values, sizes;
  if (parser.parseKeyword(&keyword))
    return {};
  std::optional<ViewKind> kind = symbolizeViewKind(keyword);
  if (!kind) {
    parser.emitError(loc, "expected reshape, transpose, slice or stack, found ")
        << keyword;
    return {};
  }
  if (parseInts(parser, values) ||
      (kind == ViewKind::Slice && parseInts(parser, sizes)))
    return {};
  return ViewStepAttr::get(parser.getContext(), *kind, values, sizes);
}

void tpc::printViewStep(llvm::raw_ostream &os, ViewStepAttr step) {
  os << stringifyViewKind(step.getKind()) << " [";
  llvm::interleaveComma(step.getValues(), os);
  os << ']';
  if (step.getKind() == ViewKind::Slice) {
    os << " [";
    llvm::interleaveComma(step.getSizes(), os);
    os << ']';
  }
}

Attribute ViewStepAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  ViewStepAttr step = parseViewStep(parser);
  if (!step || parser.parseGreater())
    return {};
  return step;
}

void ViewStepAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printViewStep(printer.getStream(), *this);
  printer << '>';
}
