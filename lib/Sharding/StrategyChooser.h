//===- StrategyChooser.h - Operation by operation -------------*- C++ -*-===//
//
// The walk that the rule-based modes share: through every function in order,
// for every operation and axis a use, given how the operands are held. A mode
// states its preference as a cost; the cheapest use wins, the earliest of
// equals. Parameters take the sharding that their first use wants.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_STRATEGYCHOOSER_H
#define TPC_LIB_SHARDING_STRATEGYCHOOSER_H

#include "tpc/Sharding/Assignment.h"

namespace tpc {

/// What a mode is asked about: one use of one axis at one operation.
struct UseQuery {
  mlir::Operation *op;
  const RuledOp &ruled;
  const AxisRef &axis;
  AxisUse use;
  /// How each operand is held now; nothing for one that takes any sharding for
  /// free (a parameter or state before its first use, a splat constant).
  llvm::ArrayRef<std::optional<Sharding>> held;
  /// Whether an operand is a parameter, read directly.
  llvm::ArrayRef<bool> isParameter;
};

class StrategyChooser : public Assigner {
public:
  mlir::FailureOr<Assignment> assign(mlir::ModuleOp module,
                                     const Mesh &mesh) final;

protected:
  /// Called once before the walk.
  virtual mlir::LogicalResult prepare(mlir::ModuleOp module, const Mesh &mesh) {
    return mlir::success();
  }
  /// The sharding of an argument without a pin.
  virtual Sharding argumentSharding(mlir::BlockArgument argument,
                                    const Mesh &mesh) = 0;
  /// The sharding of a parameter or state that is decided before its first
  /// use, if it is.
  virtual std::optional<Sharding> symbolSharding(mlir::StringAttr symbol) {
    return std::nullopt;
  }
  /// Cost of a use; infinite where it is out of the question.
  virtual double cost(const UseQuery &query, const Mesh &mesh) = 0;

private:
  mlir::LogicalResult assignFunction(mlir::func::FuncOp function);
  mlir::LogicalResult assignOp(mlir::Operation *op);
  mlir::LogicalResult assignRuled(mlir::Operation *op);
  mlir::LogicalResult assignReturn(mlir::func::ReturnOp op);
  Strategy choose(mlir::Operation *op, const RuledOp &ruled);
  void settle(mlir::Value value, const Sharding &wanted);
  bool isFree(mlir::Value value) const;

  mlir::ModuleOp module;
  const Mesh *mesh = nullptr;
  Assignment result;
};

/// Bytes that one device sends to bring a tensor of `bytes` (whole) from one
/// state on an axis of `members` to another. Partial values are counted as
/// all-reduced, whatever follows.
double stateChangeBytes(AxisState from, AxisState to, double bytes,
                        int64_t members);

/// The bytes that the reshards of all operands would send, for one axis.
double operandBytes(const UseQuery &query, const Mesh &mesh);

/// Whether some operand is held split on the axis as the use wants it.
bool followsOperand(const UseQuery &query);

} // namespace tpc

#endif // TPC_LIB_SHARDING_STRATEGYCHOOSER_H
