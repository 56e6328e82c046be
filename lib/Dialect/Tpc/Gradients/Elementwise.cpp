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

/// A value that formulas are written with.
struct Term {
  Core *core;
  Value value;

  Term constant(double number) const {
    return {core, core->constant(number, value)};
  }
  template <typename OpT> Term unary() const {
    return {core, core->unary<OpT>(value)};
  }
  template <typename OpT> Term binary(Term other) const {
    return {core, core->binary<OpT>(value, other.value)};
  }
};
Term operator-(Term x) { return x.unary<NegOp>(); }
Term operator-(Term x, Term y) { return x.binary<SubOp>(y); }
Term operator*(Term x, Term y) { return x.binary<MulOp>(y); }
Term operator*(Term x, double y) { return x * x.constant(y); }
Term operator/(Term x, Term y) { return x.binary<DivOp>(y); }

/// x where `left` and `right` compare so, else y.
Term where(Predicate predicate, Term left, Term right, Term x, Term y) {
  Core &core = *x.core;
  Value condition = core.compare(predicate, left.value, right.value);
  return {&core, core.select(condition, x.value, y.value)};
}

} // namespace

/// Calls `slopes` with the operands, the result and its gradient in at least
/// f32; it gives the operands' gradients. None where the operation is one of
/// integers.
template <typename Slopes>
static Gradients gradientsOf(OpBuilder &builder, Operation *op, Value gradient,
                             Slopes slopes) {
  Type element = getElementTypeOrSelf(op->getResult(0));
  Gradients result(op->getNumOperands());
  if (!isa<FloatType>(element))
    return result;
  Core core(builder, op->getLoc());
  Type wide = element.getIntOrFloatBitWidth() < 32 ? core.f32() : element;
  auto term = [&](Value value) {
    return Term{&core, core.convert(value, wide)};
  };
  SmallVector<Term> operands = llvm::map_to_vector(op->getOperands(), term);
  SmallVector<Term> found =
      slopes(operands, term(op->getResult(0)), term(gradient));
  for (auto [to, from] : llvm::zip_equal(result, found))
    to = core.convert(from.value, element);
  return result;
}

using Terms = SmallVector<Term>;

// One operand x, the result y and its gradient g.
#define TPC_UNARY(Op, Slope)                                                   \
  Gradients Op::buildVjp(OpBuilder &builder, ValueRange gradients) {           \
    return gradientsOf(builder, *this, gradients[0],                           \
                       [](ArrayRef<Term> operands, [[maybe_unused]] Term y,    \
                          Term g) -> Terms {                                   \
                         [[maybe_unused]] Term x = operands[0];                \
                         return {Slope};                                       \
                       });                                                     \
  }
TPC_UNARY(NegOp, -g)
TPC_UNARY(ExpOp, g *y)
TPC_UNARY(LogOp, g / x)
TPC_UNARY(SqrtOp, g * 0.5 / y)
TPC_UNARY(RsqrtOp, g * -0.5 * (y * y * y))
TPC_UNARY(SinOp, g *x.unary<CosOp>())
TPC_UNARY(CosOp, -(g *x.unary<SinOp>()))
TPC_UNARY(TanhOp, g - g * (y * y))
TPC_UNARY(ErfOp, g * M_2_SQRTPI * (-(x * x)).unary<ExpOp>())
TPC_UNARY(AbsOp,
          where(Predicate::GT, x, x.constant(0), g,
                where(Predicate::LT, x, x.constant(0), -g, g.constant(0))))
#undef TPC_UNARY

/// The operand that is chosen gets the gradient, equal ones half of it each.
static Terms chosen(Predicate predicate, Term x, Term y, Term g) {
  Term rest = where(Predicate::EQ, x, y, g * 0.5, g.constant(0));
  return {where(predicate, x, y, g, rest), where(predicate, y, x, g, rest)};
}

/// x^y has slope y x^(y-1) in x and x^y ln x in y; 0 where a factor of it is 0,
/// whatever the other is.
static Terms powers(Term x, Term y, Term result, Term g) {
  Term zero = x.constant(0);
  Term inX = y * x.binary<PowOp>(y - y.constant(1));
  Term inY = result * x.unary<LogOp>();
  return {g * where(Predicate::EQ, y, zero, zero, inX),
          g * where(Predicate::EQ, x, zero, zero, inY)};
}

// Operands x and y, the result r and its gradient g.
#define TPC_BINARY(Op, ...)                                                    \
  Gradients Op::buildVjp(OpBuilder &builder, ValueRange gradients) {           \
    return gradientsOf(builder, *this, gradients[0],                           \
                       [](ArrayRef<Term> operands, [[maybe_unused]] Term r,    \
                          Term g) -> Terms {                                   \
                         [[maybe_unused]] Term x = operands[0];                \
                         [[maybe_unused]] Term y = operands[1];                \
                         return __VA_ARGS__;                                   \
                       });                                                     \
  }
TPC_BINARY(AddOp, {g, g})
TPC_BINARY(SubOp, {g, -g})
TPC_BINARY(MulOp, {g * y, g * x})
TPC_BINARY(DivOp, {g / y, -(g / y * r)})
TPC_BINARY(MaxOp, chosen(Predicate::GT, x, y, g))
TPC_BINARY(MinOp, chosen(Predicate::LT, x, y, g))
TPC_BINARY(PowOp, powers(x, y, r, g))
#undef TPC_BINARY

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
