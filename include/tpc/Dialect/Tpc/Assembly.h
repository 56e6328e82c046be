//===- Assembly.h - Assembly shared by the dialects -------------*- C++ -*-===//
//
// `custom<Keyword>` and `custom<Axes>` of the operations' assembly formats.
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

} // namespace tpc

#endif // TPC_DIALECT_TPC_ASSEMBLY_H
