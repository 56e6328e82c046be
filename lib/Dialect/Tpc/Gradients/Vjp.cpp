//===- Vjp.cpp - The gradients of a composite as one operation ------------===//
//
//   %dx, %dw = tpc.vjp "tpc.rms_norm" {epsilon} of [0, 1] %x, %w, %dy
//
// is by definition what rms_norm builds as its gradients on %x, %w and %dy. Its
// rule follows, as a composite's does: rows are parallel for %dx, and leave
// partial sums of %dw. That is sound although padding of %x is not neutral: a
// gradient is linear in %dy, so rows that are filled up with zeros there add
// nothing.
//
//===----------------------------------------------------------------------===//

#include "../Constraints.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::constraints;

/// The composite on these operands, with the result type of its gradient.
static Operation *createForward(OpBuilder &builder, VjpOp op,
                                ValueRange values) {
  OperationState state(op.getLoc(), op.getForward(), values.drop_back(),
                       {values.back().getType()}, op.getSettings().getValue());
  return builder.create(state);
}

SmallVector<Value> VjpOp::decompose(OpBuilder &builder, ValueRange values) {
  Operation *forward = createForward(builder, *this, values);
  SmallVector<Value> all = cast<DifferentiableOpInterface>(forward).buildVjp(
      builder, values.take_back());
  if (forward->use_empty())
    forward->erase();
  SmallVector<Value> gradients;
  for (int64_t operand : getOf())
    gradients.push_back(all[operand]);
  return gradients;
}

ShardingRule VjpOp::getShardingRule() { return deriveShardingRule(*this); }

LogicalResult VjpOp::verify() {
  auto name = RegisteredOperationName::lookup(getForward(), getContext());
  if (failed(require(*this, name && name->hasTrait<GradientStep>(), "C1",
                     "there is no composite \"" + getForward() +
                         "\" with such a gradient")) ||
      failed(require(*this, getValues().size() >= 2, "C1",
                     "expected the composite's operands and the gradient of "
                     "its result")))
    return failure();
  Block block;
  for (Value value : getValues())
    block.addArgument(type(value).cloneWithEncoding(Attribute()), getLoc());
  OpBuilder builder(getContext());
  builder.setInsertionPointToEnd(&block);
  Operation *forward = createForward(builder, *this, block.getArguments());
  LogicalResult valid = mlir::verify(forward);
  forward->erase();
  if (failed(valid))
    return emitOpError("C1: the composite would not be valid");

  int64_t last = -1, count = getValues().size() - 1;
  if (failed(require(*this, getOf().size() == getGradients().size(), "C3",
                     "expected one result for each operand in `of`")))
    return failure();
  for (auto [operand, gradient] : llvm::zip_equal(getOf(), getGradients())) {
    if (failed(require(*this,
                       operand > last && operand < count &&
                           isa<FloatType>(element(getValues()[operand])),
                       "C2",
                       "expected ascending numbers of floating-point operands "
                       "below " +
                           Twine(count) + ", found " + Twine(operand))) ||
        failed(requireShape(*this, "C3", "result", shape(gradient),
                            shape(getValues()[operand]))) ||
        failed(requireElement(*this, "C3", gradient, getValues()[operand])))
      return failure();
    last = operand;
  }
  return success();
}
