//===- ElementTypes.h - The runtime's element types in MLIR -----*- C++ -*-===//

#ifndef TPC_DIALECT_TPC_ELEMENTTYPES_H
#define TPC_DIALECT_TPC_ELEMENTTYPES_H

#include "mlir/IR/BuiltinTypes.h"
#include "tpcrt/ElementType.h"

namespace tpc {

inline mlir::Type toType(tpcrt::ElementType element,
                         mlir::MLIRContext *context) {
  using tpcrt::ElementType;
  switch (element) {
  case ElementType::F32:
    return mlir::Float32Type::get(context);
  case ElementType::F64:
    return mlir::Float64Type::get(context);
  case ElementType::BF16:
    return mlir::BFloat16Type::get(context);
  case ElementType::F16:
    return mlir::Float16Type::get(context);
  case ElementType::I32:
    return mlir::IntegerType::get(context, 32);
  case ElementType::I64:
    return mlir::IntegerType::get(context, 64);
  case ElementType::Bool:
    return mlir::IntegerType::get(context, 1);
  }
  llvm_unreachable("unknown element type");
}

} // namespace tpc

#endif // TPC_DIALECT_TPC_ELEMENTTYPES_H
