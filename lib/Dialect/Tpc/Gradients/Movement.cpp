//===- Movement.cpp - Gradients of operations that move elements ----------===//
//
// Each is linear, and its gradient the adjoint: what was repeated is summed,
// what was cut out is padded, what was moved moves back.
//
//===----------------------------------------------------------------------===//

#include "../Core.h"

using namespace mlir;
using namespace tpc;

using Gradients = SmallVector<Value>;

static bool isFloat(Value value) {
  return isa<FloatType>(getElementTypeOrSelf(value));
}

Gradients BroadcastOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  return {Core(builder, getLoc())
              .sumTo(gradients[0], Core::shape(getOperand()), getDims())};
}

Gradients ReshapeOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  return {
      Core(builder, getLoc()).reshape(gradients[0], Core::shape(getOperand()))};
}

Gradients AgainOp::buildVjp(OpBuilder &, ValueRange gradients) {
  return {gradients[0]};
}

Gradients TransposeOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  SmallVector<int64_t> inverse(getPermutation().size());
  for (auto [to, from] : llvm::enumerate(getPermutation()))
    inverse[from] = to;
  return {Core(builder, getLoc())
              .make<TransposeOp>(getOperand().getType(), gradients[0],
                                 builder.getDenseI64ArrayAttr(inverse))};
}

/// `part` at `offsets` within zeros of the shape of `like`.
static Value placed(Core &core, OpBuilder &builder, Value part,
                    ArrayRef<int64_t> offsets, Value like) {
  if (part.getType() == like.getType())
    return part;
  return core.make<PadOp>(like.getType(), part,
                          builder.getDenseI64ArrayAttr(offsets),
                          builder.getF64FloatAttr(0));
}

/// The part of `whole` at `offsets` that has the shape of `like`.
static Value cut(Core &core, OpBuilder &builder, Value whole,
                 ArrayRef<int64_t> offsets, Value like) {
  if (whole.getType() == like.getType())
    return whole;
  return core.make<SliceOp>(like.getType(), whole,
                            builder.getDenseI64ArrayAttr(offsets));
}

Gradients SliceOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  return {placed(core, builder, gradients[0], getOffsets(), getOperand())};
}

Gradients PadOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  return {cut(core, builder, gradients[0], getLow(), getOperand())};
}

Gradients ConcatOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  SmallVector<int64_t> offsets(Core::shape(getResult()).size(), 0);
  Gradients parts;
  for (Value operand : getOperands()) {
    parts.push_back(cut(core, builder, gradients[0], offsets, operand));
    offsets[getDim()] += Core::shape(operand)[getDim()];
  }
  return parts;
}

// The start is clamped alike in both directions.
Gradients DynamicSliceOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  return {core.make<UpdateSliceOp>(getOperand().getType(),
                                   core.constant(0, getOperand()), gradients[0],
                                   getStart()),
          Value()};
}

/// What `update_slice` put at a start per row: dimension 0, row by row.
static Value cutRows(Core &core, OpBuilder &builder, Value whole, Value start,
                     Value like) {
  ArrayRef<int64_t> shape = Core::shape(like);
  SmallVector<int64_t> row(shape);
  row[0] = 1;
  auto rowType = RankedTensorType::get(row, getElementTypeOrSelf(whole));
  int64_t rank = shape.size();
  Value zero = core.constant(0, {1}, getElementTypeOrSelf(start));
  SmallVector<Value> rows;
  for (int64_t i = 0; i < shape[0]; ++i) {
    Value at = core.reshape(core.slice(start, 0, i, 1), {rank - 1});
    rows.push_back(core.make<DynamicSliceOp>(
        rowType, core.slice(whole, 0, i, 1), core.concat({zero, at}, 0)));
  }
  return rows.size() == 1 ? rows[0] : core.concat(rows, 0);
}

Gradients UpdateSliceOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  if (!isFloat(getOperand()))
    return Gradients(3);
  Core core(builder, getLoc());
  Value g = gradients[0];
  Value rest = core.make<UpdateSliceOp>(
      getOperand().getType(), g, core.constant(0, getUpdate()), getStart());
  Value update =
      startsPerRow()
          ? cutRows(core, builder, g, getStart(), getUpdate())
          : core.make<DynamicSliceOp>(getUpdate().getType(), g, getStart());
  return {rest, update, Value()};
}
