//===- CoreBuilder.cpp - Building core operations -------------------------===//

#include "tpc/Codegen/CoreBuilder.h"

using namespace mlir;
using namespace tpc;

Value CoreBuilder::splat(double value, ArrayRef<int64_t> shape, Type element) {
  auto type = RankedTensorType::get(shape, element);
  Attribute scalar;
  if (auto floating = dyn_cast<FloatType>(element)) {
    scalar = FloatAttr::get(floating, value);
  } else {
    // Truncates and saturates: 2^31 is the highest i32.
    unsigned width = element.getIntOrFloatBitWidth();
    APSInt integer(width, /*isUnsigned=*/width == 1);
    bool exact;
    APFloat(value).convertToInteger(integer, APFloat::rmTowardZero, &exact);
    scalar = IntegerAttr::get(element, integer);
  }
  return ConstantOp::create(builder, loc, type,
                            DenseElementsAttr::get(type, scalar));
}

Value CoreBuilder::iota(ArrayRef<int64_t> shape, int64_t dim) {
  return IotaOp::create(builder, loc,
                        RankedTensorType::get(shape, builder.getI64Type()),
                        builder.getI64IntegerAttr(dim));
}

Value CoreBuilder::spread(Value scalar, ArrayRef<int64_t> shape) {
  return BroadcastOp::create(builder, loc,
                             RankedTensorType::get(shape, elementOf(scalar)),
                             scalar, builder.getDenseI64ArrayAttr({}));
}

Value CoreBuilder::compare(Predicate predicate, Value lhs, Value rhs) {
  return CompareOp::create(
      builder, loc, RankedTensorType::get(shapeOf(lhs), builder.getI1Type()),
      predicate, lhs, rhs);
}

Value CoreBuilder::both(Value lhs, Value rhs) {
  return AndOp::create(builder, loc, lhs.getType(), lhs, rhs);
}

Value CoreBuilder::select(Value condition, Value onTrue, Value onFalse) {
  return SelectOp::create(builder, loc, onTrue.getType(), condition, onTrue,
                          onFalse);
}

Value CoreBuilder::reshape(Value x, ArrayRef<int64_t> shape) {
  if (shapeOf(x) == shape)
    return x;
  return ReshapeOp::create(builder, loc,
                           RankedTensorType::get(shape, elementOf(x)), x);
}

Value CoreBuilder::transpose(Value x, ArrayRef<int64_t> permutation) {
  SmallVector<int64_t> shape, moved;
  for (int64_t dim : permutation) {
    shape.push_back(shapeOf(x)[dim]);
    if (shape.back() != 1)
      moved.push_back(dim);
  }
  if (llvm::is_sorted(moved))
    return reshape(x, shape);
  return TransposeOp::create(builder, loc,
                             RankedTensorType::get(shape, elementOf(x)), x,
                             builder.getDenseI64ArrayAttr(permutation));
}

RankedTensorType CoreBuilder::resized(Value x, int64_t dim, int64_t size) {
  SmallVector<int64_t> shape(shapeOf(x));
  shape[dim] = size;
  return RankedTensorType::get(shape, elementOf(x));
}

Value CoreBuilder::padTo(Value x, int64_t dim, int64_t size) {
  if (shapeOf(x)[dim] == size)
    return x;
  SmallVector<int64_t> low(shapeOf(x).size(), 0);
  return PadOp::create(builder, loc, resized(x, dim, size), x,
                       builder.getDenseI64ArrayAttr(low),
                       builder.getF64FloatAttr(0));
}

Value CoreBuilder::cutTo(Value x, int64_t dim, int64_t size) {
  if (shapeOf(x)[dim] == size)
    return x;
  SmallVector<int64_t> offsets(shapeOf(x).size(), 0);
  return SliceOp::create(builder, loc, resized(x, dim, size), x,
                         builder.getDenseI64ArrayAttr(offsets));
}
