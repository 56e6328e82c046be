//===- Assembly.h - Assembly shared by the dialects -------------*- C++ -*-===//
//
// `custom<Keyword>`, `custom<Axes>` and `custom<Why>` of the operations'
// assembly formats.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_DIALECT_TPC_ASSEMBLY_H
#define TPC_DIALECT_TPC_ASSEMBLY_H

#include "tpc/Dialect/Tpc/Tpc.h"

namespace tpc {

/// An enum attribute as a bare keyword: `sum`.
template <typename AttrT>
mlir::ParseResult parseKeyword(mlir::OpAsmParser &parser, AttrT &attribute) {
  auto value = mlir::FieldParser<decltype(attribute.getValue())>::parse(parser);
  if (failed(value))
    return mlir::failure();
  attribute = AttrT::get(parser.getContext(), *value);
  return mlir::success();
}
template <typename AttrT>
void printKeyword(mlir::OpAsmPrinter &printer, mlir::Operation *,
                  AttrT attribute) {
  printer << stringifyEnum(attribute.getValue());
}

/// `@mesh{"tp"}`.
inline mlir::ParseResult parseAxes(mlir::OpAsmParser &parser, AxesAttr &axes) {
  axes = llvm::dyn_cast_or_null<AxesAttr>(AxesAttr::parse(parser, {}));
  return mlir::success(axes != nullptr);
}
inline void printAxes(mlir::OpAsmPrinter &printer, mlir::Operation *,
                      AxesAttr axes) {
  axes.print(printer);
}

/// An origin, or a list of the origins of several, `unit` for unknown ones.
bool isWhy(mlir::Attribute attribute);
/// `<"mlp.down" to "func.return", ...>`, or a list of these and `unknown` in
/// brackets.
mlir::ParseResult parseWhy(mlir::OpAsmParser &parser, mlir::Attribute &why);
void printWhy(mlir::OpAsmPrinter &printer, mlir::Operation *,
              mlir::Attribute why);

} // namespace tpc

#endif // TPC_DIALECT_TPC_ASSEMBLY_H
