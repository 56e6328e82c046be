//===- Assembly.cpp - Assembly shared by the dialects ---------------------===//

#include "tpc/Dialect/Tpc/Assembly.h"

using namespace mlir;
using namespace tpc;

bool tpc::isWhy(Attribute attribute) {
  auto list = dyn_cast<ArrayAttr>(attribute);
  return isa<OriginAttr>(attribute) ||
         (list && !list.empty() && llvm::all_of(list, [](Attribute part) {
            return isa<OriginAttr, UnitAttr>(part);
          }));
}

ParseResult tpc::parseWhy(OpAsmParser &parser, Attribute &why) {
  auto parseOrigin = [&](Attribute &origin) -> ParseResult {
    if (succeeded(parser.parseOptionalKeyword("unknown"))) {
      origin = UnitAttr::get(parser.getContext());
      return success();
    }
    OriginAttr known;
    if (parser.parseCustomAttributeWithFallback(known))
      return failure();
    origin = known;
    return success();
  };
  if (failed(parser.parseOptionalLSquare()))
    return parseOrigin(why);
  SmallVector<Attribute> parts;
  if (parser.parseCommaSeparatedList(
          [&] { return parseOrigin(parts.emplace_back()); }) ||
      parser.parseRSquare())
    return failure();
  why = ArrayAttr::get(parser.getContext(), parts);
  return success();
}

void tpc::printWhy(OpAsmPrinter &printer, Operation *, Attribute why) {
  auto printOrigin = [&](Attribute origin) {
    if (auto known = dyn_cast<OriginAttr>(origin))
      printer.printStrippedAttrOrType(known);
    else
      printer << "unknown";
  };
  auto list = dyn_cast<ArrayAttr>(why);
  if (!list)
    return printOrigin(why);
  printer << '[';
  llvm::interleaveComma(list, printer, printOrigin);
  printer << ']';
}
