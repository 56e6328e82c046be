//===- RowOfPairs.cpp - Rows of elements with their positions -------------===//

#include "RowOfPairs.h"

using namespace mlir;
using namespace tpc;
using P = arith::CmpIPredicate;

Value RowOfPairs::before(Pair a, Pair b) {
  OpBuilder &builder = ops.builder;
  Location loc = ops.loc;
  Value less, equal;
  if (isa<FloatType>(a.value.getType())) {
    using F = arith::CmpFPredicate;
    auto compare = [&](F predicate, Value x, Value y) -> Value {
      return arith::CmpFOp::create(builder, loc, predicate, x, y);
    };
    Value aNaN = compare(F::UNO, a.value, a.value);
    Value bNaN = compare(F::UNO, b.value, b.value);
    less = compare(descending ? F::OGT : F::OLT, a.value, b.value);
    Value aIsNumber = arith::XOrIOp::create(
        builder, loc, aNaN,
        arith::ConstantOp::create(builder, loc, builder.getBoolAttr(true)));
    less = arith::OrIOp::create(builder, loc, less, ops.both(aIsNumber, bNaN));
    equal = arith::OrIOp::create(
        builder, loc, compare(F::OEQ, a.value, b.value), ops.both(aNaN, bNaN));
  } else {
    less = arith::CmpIOp::create(builder, loc, descending ? P::sgt : P::slt,
                                 a.value, b.value);
    equal = arith::CmpIOp::create(builder, loc, P::eq, a.value, b.value);
  }
  Value earlier =
      arith::CmpIOp::create(builder, loc, P::slt, a.position, b.position);
  return arith::OrIOp::create(builder, loc, less, ops.both(equal, earlier));
}
