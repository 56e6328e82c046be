//===- Constraints.h - Checks that several operations share -----*- C++ -*-===//
//
// Each emits an error at `op` under the constraint's label and fails, or
// succeeds. Shapes only: encodings do not matter.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_DIALECT_TPC_CONSTRAINTS_H
#define TPC_LIB_DIALECT_TPC_CONSTRAINTS_H

#include "tpc/Dialect/Tpc/Tpc.h"

namespace tpc::constraints {

using Shape = llvm::ArrayRef<int64_t>;

inline mlir::RankedTensorType type(mlir::Value value) {
  return llvm::cast<mlir::RankedTensorType>(value.getType());
}
inline Shape shape(mlir::Value value) { return type(value).getShape(); }
inline mlir::Type element(mlir::Value value) {
  return type(value).getElementType();
}

/// "2x3", or "scalar".
std::string text(Shape sizes);

/// The condition holds.
mlir::LogicalResult require(mlir::Operation *op, bool condition,
                            llvm::StringRef label, const llvm::Twine &message);
mlir::LogicalResult requireShape(mlir::Operation *op, llvm::StringRef label,
                                 llvm::StringRef what, Shape found,
                                 Shape expected);
/// Equal element types.
mlir::LogicalResult requireElement(mlir::Operation *op, llvm::StringRef label,
                                   mlir::Value a, mlir::Value b);
/// All operands and the result have the result's shape (C1).
mlir::LogicalResult sameShapes(mlir::Operation *op);
/// `dim` is a dimension of a tensor of this rank (C1).
mlir::LogicalResult requireDim(mlir::Operation *op, int64_t dim, int64_t rank);
/// Ascending dimensions below `rank` (C1).
mlir::LogicalResult requireAscending(mlir::Operation *op,
                                     llvm::ArrayRef<int64_t> dims,
                                     int64_t rank);
/// The equation of a contraction (C1 to C3 of tpc.matmul).
mlir::LogicalResult verifyEquation(mlir::Operation *op, llvm::StringRef text,
                                   mlir::Value lhs, mlir::Value rhs,
                                   mlir::Value result);

/// `table` with dimension `dim` replaced by the dimensions of `indices`.
llvm::SmallVector<int64_t> gatheredShape(Shape table, Shape indices,
                                         int64_t dim);

} // namespace tpc::constraints

#endif // TPC_LIB_DIALECT_TPC_CONSTRAINTS_H
