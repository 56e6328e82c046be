//===- Tensor.h - Tensors of the reference evaluator ------------*- C++ -*-===//
//
// Every element is held as a double that is a value of the element type: a
// bf16 tensor holds doubles that bf16 can represent, i1 holds 0 and 1. i32
// wraps at 32 bits; i64 is exact up to 2^53 in magnitude.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_REFERENCE_TENSOR_H
#define TPC_REFERENCE_TENSOR_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"
#include <string>
#include <vector>

namespace tpc::reference {

/// A dense tensor in row-major order.
struct Tensor {
  llvm::SmallVector<int64_t> shape;
  mlir::Type elementType;
  std::vector<double> data;

  Tensor() = default;
  /// All elements are `value`.
  Tensor(llvm::ArrayRef<int64_t> shape, mlir::Type elementType,
         double value = 0);

  int64_t rank() const { return shape.size(); }
  int64_t numElements() const { return data.size(); }
  /// Elements between neighbours along each dimension.
  llvm::SmallVector<int64_t> strides() const;
  bool hasType(mlir::RankedTensorType type) const {
    return llvm::ArrayRef<int64_t>(shape) == type.getShape() &&
           elementType == type.getElementType();
  }
  mlir::RankedTensorType type() const {
    return mlir::RankedTensorType::get(shape, elementType);
  }
};

/// The value of `elementType` that is nearest to `value`, ties to even.
/// Integers: truncated towards zero, i32 wraps, NaN is 0; i1 is value != 0.
double roundTo(mlir::Type elementType, double value);
/// Rounds every element to the tensor's element type.
void roundElements(Tensor &tensor);

/// The lowest and highest values of an element type (infinite for floats):
/// the identities of max and min.
double lowest(mlir::Type elementType);
double highest(mlir::Type elementType);
/// What stands in padding that nobody may read: NaN; for integers, which have
/// none, a huge value; for i1 true.
double poison(mlir::Type elementType);

/// The tensor that a dense attribute spells out.
Tensor fromAttribute(mlir::DenseElementsAttr attribute);
/// `tensor<2x2xf32> [[1, 2], [3, 4]]`.
std::string toString(const Tensor &tensor);

/// Calls `visit` with every index of `shape`, in row-major order.
void forEachIndex(llvm::ArrayRef<int64_t> shape,
                  llvm::function_ref<void(llvm::ArrayRef<int64_t>)> visit);

/// For every element of a tensor of `shape`, in row-major order, calls
/// `visit(linear, offset)`: `offset` is base + sum of index * stride. The one
/// loop behind all operations that move elements.
void forEachOffset(llvm::ArrayRef<int64_t> shape,
                   llvm::ArrayRef<int64_t> strides, int64_t base,
                   llvm::function_ref<void(int64_t, int64_t)> visit);

} // namespace tpc::reference

#endif // TPC_REFERENCE_TENSOR_H
