//===- CoreBuilder.h - Building core operations -----------------*- C++ -*-===//
//
// Core operations on local tensors with inferred result types, for passes that
// rewrite per-device programs.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_CODEGEN_COREBUILDER_H
#define TPC_CODEGEN_COREBUILDER_H

#include "mlir/IR/Builders.h"
#include "tpc/Dialect/Tpc/Tpc.h"

namespace tpc {

inline mlir::RankedTensorType tensorType(mlir::Value value) {
  return llvm::cast<mlir::RankedTensorType>(value.getType());
}
inline llvm::ArrayRef<int64_t> shapeOf(mlir::Value value) {
  return tensorType(value).getShape();
}
inline mlir::Type elementOf(mlir::Value value) {
  return tensorType(value).getElementType();
}

class CoreBuilder {
public:
  CoreBuilder(mlir::OpBuilder &builder, mlir::Location loc)
      : builder(builder), loc(loc) {}

  /// A constant of one value; integers are truncated and saturated.
  mlir::Value splat(double value, llvm::ArrayRef<int64_t> shape,
                    mlir::Type element);
  mlir::Value iota(llvm::ArrayRef<int64_t> shape, int64_t dim);
  /// A scalar everywhere in `shape`.
  mlir::Value spread(mlir::Value scalar, llvm::ArrayRef<int64_t> shape);
  mlir::Value compare(Predicate predicate, mlir::Value lhs, mlir::Value rhs);
  mlir::Value both(mlir::Value lhs, mlir::Value rhs);
  mlir::Value select(mlir::Value condition, mlir::Value onTrue,
                     mlir::Value onFalse);
  mlir::Value reshape(mlir::Value x, llvm::ArrayRef<int64_t> shape);
  /// A transpose, or a reshape where only dimensions of size 1 move.
  mlir::Value transpose(mlir::Value x, llvm::ArrayRef<int64_t> permutation);
  /// Zeros appended along `dim` up to `size`.
  mlir::Value padTo(mlir::Value x, int64_t dim, int64_t size);
  /// The first `size` elements along `dim`.
  mlir::Value cutTo(mlir::Value x, int64_t dim, int64_t size);

private:
  mlir::RankedTensorType resized(mlir::Value x, int64_t dim, int64_t size);

  mlir::OpBuilder &builder;
  mlir::Location loc;
};

} // namespace tpc

#endif // TPC_CODEGEN_COREBUILDER_H
