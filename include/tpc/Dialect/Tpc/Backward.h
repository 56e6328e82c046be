//===- Backward.h - Gradients through a list of operations ------*- C++ -*-===//
//
// Reverse mode over straight-line code. Operations are visited from the last to
// the first; what they say about a value is summed when its own operation is
// visited, when all its users have been:
//
//   y = mul x, x      dx = dy * x + dy * x     one sum, then x's operation
//
// Numbers of 16 bits are summed in f32 and rounded once: rounding is not
// linear.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_DIALECT_TPC_BACKWARD_H
#define TPC_DIALECT_TPC_BACKWARD_H

#include "mlir/IR/Builders.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace tpc {

class Backward {
public:
  explicit Backward(mlir::OpBuilder &builder) : builder(builder) {}

  /// Only values of this set get a gradient: what does not depend on anything
  /// that is asked for needs none.
  void restrictTo(llvm::DenseSet<mlir::Value> values) {
    wanted = std::move(values);
  }

  /// One more contribution to the gradient of `value`, of its shape. Dropped
  /// where it is null, or `value` is no floating-point tensor or not wanted.
  void add(mlir::Value value, mlir::Value contribution);

  /// Builds the gradients of all operands of `ops`, which are in the order of
  /// the program. Fails at an operation that is not differentiable.
  llvm::LogicalResult run(llvm::ArrayRef<mlir::Operation *> ops);

  /// The sum of the contributions to values that are one and the same, such as
  /// two reads of a parameter; of their type, null for zeros.
  mlir::Value gradient(mlir::ValueRange values);

private:
  llvm::SmallVector<mlir::Value> buildStep(mlir::Operation *op,
                                           mlir::Value gradient);

  mlir::OpBuilder &builder;
  std::optional<llvm::DenseSet<mlir::Value>> wanted;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<mlir::Value, 2>> contributions;
};

} // namespace tpc

#endif // TPC_DIALECT_TPC_BACKWARD_H
