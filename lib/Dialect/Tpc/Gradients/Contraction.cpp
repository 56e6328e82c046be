//===- Contraction.cpp - Gradients of products and reductions -------------===//

#include "../Core.h"
#include "tpc/Dialect/Tpc/Einsum.h"

using namespace mlir;
using namespace tpc;

using Gradients = SmallVector<Value>;

static bool isFloat(Value value) {
  return isa<FloatType>(getElementTypeOrSelf(value));
}

// The equation turned around: what was free in the other operand is summed.
Gradients MatmulOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  if (!isFloat(getResult()))
    return Gradients(2);
  Core core(builder, getLoc());
  Einsum einsum = *Einsum::parse(getEquation());
  Gradients result(2);
  if (isFloat(getLhs()))
    result[0] =
        core.productLike(getLhs(), gradients[0], getRhs(),
                         Einsum{einsum.result, einsum.rhs, einsum.lhs}.str());
  if (isFloat(getRhs()))
    result[1] =
        core.productLike(getRhs(), getLhs(), gradients[0],
                         Einsum{einsum.lhs, einsum.result, einsum.rhs}.str());
  return result;
}

// A maximum that several elements share is shared out evenly among them.
Gradients ReduceOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  if (!isFloat(getOperand()))
    return {Value()};
  Core core(builder, getLoc());
  ArrayRef<int64_t> shape = Core::shape(getOperand());
  SmallVector<int64_t> kept;
  for (int64_t dim = 0, rank = shape.size(); dim < rank; ++dim)
    if (!llvm::is_contained(getDims(), dim))
      kept.push_back(dim);
  auto spread = [&](Value x) { return core.broadcast(x, shape, kept); };
  if (getReduction() == Reduction::Sum)
    return {spread(gradients[0])};

  Type element = getElementTypeOrSelf(getOperand());
  Type wide = element.getIntOrFloatBitWidth() < 32 ? core.f32() : element;
  Value hit = core.compare(Predicate::EQ, getOperand(), spread(getResult()));
  Value count =
      core.make<ReduceOp>(Core::with(getResult(), wide), Reduction::Sum,
                          core.select(hit, core.constant(1, shape, wide),
                                      core.constant(0, shape, wide)),
                          getDimsAttr());
  Value share = core.convert(
      core.binary<DivOp>(core.convert(gradients[0], wide), count), element);
  return {core.select(hit, spread(share), core.constant(0, getOperand()))};
}
