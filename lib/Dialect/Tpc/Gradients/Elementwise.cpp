//===- Elementwise.cpp - Gradients of elementwise operations --------------===//
//
// Numbers of 16 bits are computed with in f32 and rounded once. At kinks: the
// slope of |x| at 0 is 0, and equal operands of max and min share the gradient.
//
//===----------------------------------------------------------------------===//

#include "../Core.h"
#include <cmath>

using namespace mlir;
using namespace tpc;

using Gradients = SmallVector<Value>;

namespace {
/// Values in at least f32.
class Wide {
public:
  Wide(OpBuilder &builder, Operation *op)
      : core(builder, op->getLoc()),
        element(getElementTypeOrSelf(op->getResult(0))),
        isFloat(isa<FloatType>(element)),
        wide(isFloat && element.getIntOrFloatBitWidth() < 32 ? core.f32()
                                                             : element) {}
  Value operator()(Value x) { return core.convert(x, wide); }
  Value back(Value x) { return core.convert(x, element); }

  Core core;
  Type element;
  bool isFloat;

private:
  Type wide;
};
} // namespace

/// `slope(wide, x, y, g)` for y = f(x).
template <typename Function>
static Gradients unary(OpBuilder &builder, Operation *op, Value gradient,
                       Function slope) {
  Wide wide(builder, op);
  if (!wide.isFloat)
    return {Value()};
  return {wide.back(slope(wide.core, wide(op->getOperand(0)),
                          wide(op->getResult(0)), wide(gradient)))};
}

#define TPC_UNARY(Op, Expression)                                              \
  Gradients Op::buildVjp(OpBuilder &builder, ValueRange gradients) {           \
    return unary(                                                              \
        builder, *this, gradients[0],                                          \
        []([[maybe_unused]] Core &core, [[maybe_unused]] Value x,              \
           [[maybe_unused]] Value y,                                           \
           [[maybe_unused]] Value g) -> Value { return Expression; });         \
  }
#define ADD core.binary<AddOp>
#define SUB core.binary<SubOp>
#define MUL core.binary<MulOp>
#define DIV core.binary<DivOp>
#define NEG core.unary<NegOp>

/// -1, 0 or 1, times g.
static Value signed_(Core &core, Value x, Value g) {
  Value zero = core.constant(0, x);
  return core.select(core.compare(Predicate::GT, x, zero), g,
                     core.select(core.compare(Predicate::LT, x, zero), NEG(g),
                                 core.constant(0, g)));
}

TPC_UNARY(NegOp, NEG(g))
TPC_UNARY(AbsOp, signed_(core, x, g))
TPC_UNARY(ExpOp, MUL(g, y))
TPC_UNARY(LogOp, DIV(g, x))
TPC_UNARY(SqrtOp, DIV(MUL(g, 0.5), y))
TPC_UNARY(RsqrtOp, MUL(MUL(g, -0.5), MUL(y, MUL(y, y))))
TPC_UNARY(SinOp, MUL(g, core.unary<CosOp>(x)))
TPC_UNARY(CosOp, NEG(MUL(g, core.unary<SinOp>(x))))
TPC_UNARY(TanhOp, SUB(g, MUL(g, MUL(y, y))))
TPC_UNARY(ErfOp, MUL(MUL(g, M_2_SQRTPI), core.unary<ExpOp>(NEG(MUL(x, x)))))

#undef TPC_UNARY

/// `slopes(core, x, y, result, g)` gives both gradients.
template <typename Function>
static Gradients binary(OpBuilder &builder, Operation *op, Value gradient,
                        Function slopes) {
  Wide wide(builder, op);
  if (!wide.isFloat)
    return {Value(), Value()};
  auto [x, y] =
      slopes(wide.core, wide(op->getOperand(0)), wide(op->getOperand(1)),
             wide(op->getResult(0)), wide(gradient));
  return {wide.back(x), wide.back(y)};
}

using Pair = std::pair<Value, Value>;
#define TPC_BINARY(Op, ...)                                                    \
  Gradients Op::buildVjp(OpBuilder &builder, ValueRange gradients) {           \
    return binary(builder, *this, gradients[0],                                \
                  []([[maybe_unused]] Core &core, [[maybe_unused]] Value x,    \
                     [[maybe_unused]] Value y, [[maybe_unused]] Value r,       \
                     [[maybe_unused]] Value g) -> Pair { __VA_ARGS__ });       \
  }

/// The operand that is chosen gets the gradient, equal ones half of it each.
static Pair chosen(Core &core, Predicate predicate, Value x, Value y, Value g) {
  Value half = core.select(core.compare(Predicate::EQ, x, y), MUL(g, 0.5),
                           core.constant(0, g));
  return {core.select(core.compare(predicate, x, y), g, half),
          core.select(core.compare(predicate, y, x), g, half)};
}

TPC_BINARY(AddOp, return {g, g};)
TPC_BINARY(SubOp, return {g, NEG(g)};)
TPC_BINARY(MulOp, return {MUL(g, y), MUL(g, x)};)
TPC_BINARY(DivOp, Value q = DIV(g, y); return {q, NEG(MUL(q, r))};)
TPC_BINARY(MaxOp, return chosen(core, Predicate::GT, x, y, g);)
TPC_BINARY(MinOp, return chosen(core, Predicate::LT, x, y, g);)
// 0 where a power is 0 and where x is: not 0 * infinity.
TPC_BINARY(PowOp, Value zero = core.constant(0, x);
           Value slope = core.select(
               core.compare(Predicate::EQ, y, zero), zero,
               MUL(y, core.binary<PowOp>(x, core.binary<SubOp>(y, 1.0))));
           Value log = core.select(core.compare(Predicate::EQ, x, zero), zero,
                                   MUL(r, core.unary<LogOp>(x)));
           return {MUL(g, slope), MUL(g, log)};)

#undef TPC_BINARY
#undef ADD
#undef SUB
#undef MUL
#undef DIV
#undef NEG

Gradients SelectOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Core core(builder, getLoc());
  Value g = gradients[0], zero = core.constant(0, g);
  return {Value(), core.select(getCondition(), g, zero),
          core.select(getCondition(), zero, g)};
}

// Rounding counts as no change.
Gradients ConvertOp::buildVjp(OpBuilder &builder, ValueRange gradients) {
  Type from = getElementTypeOrSelf(getOperand());
  if (!isa<FloatType>(from))
    return {Value()};
  return {Core(builder, getLoc()).convert(gradients[0], from)};
}

Gradients ShardOp::buildVjp(OpBuilder &, ValueRange gradients) {
  return {gradients[0]};
}

#define TPC_WITHOUT_GRADIENT(Op)                                               \
  Gradients Op::buildVjp(OpBuilder &, ValueRange) {                            \
    return Gradients((*this)->getNumOperands());                               \
  }
TPC_WITHOUT_GRADIENT(ConstantOp)
TPC_WITHOUT_GRADIENT(IotaOp)
TPC_WITHOUT_GRADIENT(NotOp)
TPC_WITHOUT_GRADIENT(AndOp)
TPC_WITHOUT_GRADIENT(OrOp)
TPC_WITHOUT_GRADIENT(CompareOp)
#undef TPC_WITHOUT_GRADIENT
