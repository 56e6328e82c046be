//===- VectorMath.cpp - Elementary functions as arithmetic ----------------===//
//
// Methods: exp and log by argument reduction to a small interval and a
// polynomial (Muller, "Elementary Functions", ch. 11); log's reconstruction as
// in fdlibm's e_log.c; erf's two polynomials as published by N. Juffa; tanh's
// small-argument polynomial as in Cephes.
//
//===----------------------------------------------------------------------===//

#include "VectorMath.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include <cmath>
#include <limits>

using namespace mlir;
using namespace tpc;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Type tpc::withElement(Type type, Type element) {
  if (auto vector = dyn_cast<VectorType>(type))
    return VectorType::get(vector.getShape(), element);
  return element;
}

//===----------------------------------------------------------------------===//
// Building blocks
//===----------------------------------------------------------------------===//

Value VectorMath::constant(double value, Value like) {
  auto element = cast<FloatType>(getElementTypeOrSelf(like));
  TypedAttr attr = FloatAttr::get(element, value);
  if (auto vector = dyn_cast<VectorType>(like.getType()))
    attr = DenseElementsAttr::get(vector, attr);
  return arith::ConstantOp::create(builder, loc, attr);
}
Value VectorMath::integer(int64_t value, Type type) {
  TypedAttr attr = IntegerAttr::get(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attr = DenseElementsAttr::get(vector, attr);
  return arith::ConstantOp::create(builder, loc, attr);
}
Value VectorMath::add(Value a, Value b) {
  return arith::AddFOp::create(builder, loc, a, b);
}
Value VectorMath::sub(Value a, Value b) {
  return arith::SubFOp::create(builder, loc, a, b);
}
Value VectorMath::mul(Value a, Value b) {
  return arith::MulFOp::create(builder, loc, a, b);
}
Value VectorMath::div(Value a, Value b) {
  return arith::DivFOp::create(builder, loc, a, b);
}
Value VectorMath::fma(Value a, Value b, Value c) {
  return math::FmaOp::create(builder, loc, a, b, c);
}
Value VectorMath::less(Value a, Value b) {
  return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT, a, b);
}
Value VectorMath::equal(Value a, Value b) {
  return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ, a, b);
}
Value VectorMath::select(Value condition, Value a, Value b) {
  return arith::SelectOp::create(builder, loc, condition, a, b);
}
Value VectorMath::copysign(Value magnitude, Value sign) {
  return math::CopySignOp::create(builder, loc, magnitude, sign);
}
Value VectorMath::roundeven(Value x) {
  return math::RoundEvenOp::create(builder, loc, x);
}
Value VectorMath::floor(Value x) {
  return math::FloorOp::create(builder, loc, x);
}
Value VectorMath::abs(Value x) { return math::AbsFOp::create(builder, loc, x); }
Value VectorMath::sqrt(Value x) {
  return math::SqrtOp::create(builder, loc, x);
}
Value VectorMath::rsqrt(Value x) { return div(constant(1, x), sqrt(x)); }
Value VectorMath::bitcast(Value x, Type type) {
  return arith::BitcastOp::create(builder, loc, type, x);
}
bool VectorMath::isDouble(Value x) { return getElementTypeOrSelf(x).isF64(); }
Type VectorMath::integerType(Value x) {
  unsigned bits = getElementTypeOrSelf(x).getIntOrFloatBitWidth();
  return withElement(x.getType(), builder.getIntegerType(bits));
}
Value VectorMath::convert(Value x, Type element) {
  Type from = getElementTypeOrSelf(x), to = withElement(x.getType(), element);
  if (from == element)
    return x;
  if (from.getIntOrFloatBitWidth() < element.getIntOrFloatBitWidth())
    return arith::ExtFOp::create(builder, loc, to, x);
  return arith::TruncFOp::create(builder, loc, to, x);
}

Value VectorMath::horner(Value x, std::initializer_list<double> highFirst) {
  auto it = highFirst.begin();
  Value result = constant(*it++, x);
  for (; it != highFirst.end(); ++it)
    result = fma(result, x, constant(*it, x));
  return result;
}

//===----------------------------------------------------------------------===//
// Exponential and logarithm
//===----------------------------------------------------------------------===//

/// e^x = 2^n * (1 + p) with n = round(x / ln 2) and p = e^r - 1 for
/// |r| <= ln(2)/2. x is within the finite range, or NaN.
VectorMath::Reduced VectorMath::reduceExp(Value x) {
  Value n = roundeven(mul(x, constant(M_LOG2E, x)));
  double high = isDouble(x) ? 0x1.62e42fefa39efp-1 : 0x1.62e4p-1;
  double low = isDouble(x) ? 0x1.abc9e3b39803fp-56 : M_LN2 - 0x1.62e4p-1;
  Value r = fma(n, constant(-high, x), x);
  r = fma(n, constant(-low, x), r);
  // (e^r - 1 - r) / r^2, as a Taylor polynomial (f64) or its f32 fit.
  Value tail =
      isDouble(x)
          ? horner(r, {1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800,
                       1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
                       1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5})
          : horner(r,
                   {1.0 / 5040, 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5});
  return {fma(mul(r, r), tail, r), n};
}

/// x * 2^n in one instruction, which AVX-512 has.
static Value scaleWide(OpBuilder &builder, Location loc, Value x, Value n) {
  auto integer = [&](unsigned bits, int64_t value) -> Value {
    return LLVM::ConstantOp::create(
        builder, loc,
        builder.getIntegerAttr(builder.getIntegerType(bits), value));
  };
  constexpr int64_t allLanes = -1, currentRounding = 4;
  return LLVM::CallIntrinsicOp::create(
             builder, loc, x.getType(),
             builder.getStringAttr("llvm.x86.avx512.mask.scalef.ps.512"),
             ValueRange{x, n, x, integer(16, allLanes),
                        integer(32, currentRounding)})
      .getResult(0);
}

/// x * 2^n by two factors, so that results may be denormal or infinite.
Value VectorMath::scaleByPowerOf2(Value x, Value n) {
  // Only the kinds of CPU with AVX-512 compute in vectors of 16.
  auto vector = dyn_cast<VectorType>(x.getType());
  if (vector && vector.getNumElements() == 16 && !isDouble(x))
    return scaleWide(builder, loc, x, n);
  Type type = integerType(x);
  bool wide = isDouble(x);
  Value whole = arith::FPToSIOp::create(builder, loc, type, n);
  Value half = arith::ShRSIOp::create(builder, loc, whole, integer(1, type));
  Value rest = arith::SubIOp::create(builder, loc, whole, half);
  auto power = [&](Value exponent) {
    Value biased = arith::AddIOp::create(builder, loc, exponent,
                                         integer(wide ? 1023 : 127, type));
    Value bits = arith::ShLIOp::create(builder, loc, biased,
                                       integer(wide ? 52 : 23, type));
    return bitcast(bits, x.getType());
  };
  return mul(mul(x, power(half)), power(rest));
}

/// 2^x of each element; denormal numbers count as 0.
static Value exp2(OpBuilder &builder, Location loc, Value x) {
  auto scalar = [&](Value element) -> Value {
    return LLVM::CallIntrinsicOp::create(
               builder, loc, element.getType(),
               builder.getStringAttr("llvm.nvvm.ex2.approx.ftz"), element)
        .getResult(0);
  };
  auto type = dyn_cast<VectorType>(x.getType());
  if (!type)
    return scalar(x);
  SmallVector<Value> elements;
  for (int64_t i = 0; i < type.getNumElements(); ++i)
    elements.push_back(scalar(vector::ExtractOp::create(builder, loc, x, i)));
  return vector::FromElementsOp::create(builder, loc, type, elements);
}

/// e^x = 2^n * 2^r with n = round(x log2 e), as 2^(n-1) * (2 * 2^r): 2^128 is
/// no number, but its half is. Adding 1.5 * 2^23 rounds, and leaves n in the
/// lower bits, from where they move to the exponent.
Value VectorMath::expByExp2(Value x) {
  Type type = integerType(x);
  // 2^-127 has no exponent: its bits are those of 0.
  x = arith::MaximumFOp::create(builder, loc, x, constant(-87, x));
  x = arith::MinimumFOp::create(builder, loc, x, constant(89, x));
  double high = 0x1.715476p+0, low = M_LOG2E - 0x1.715476p+0;
  Value shift = constant(12582912, x);
  Value shifted = fma(x, constant(high, x), shift);
  Value n = sub(shifted, shift);
  Value r = fma(x, constant(high, x), arith::NegFOp::create(builder, loc, n));
  r = fma(x, constant(low, x), r);
  Value power = exp2(builder, loc, r);
  Value bits = arith::ShLIOp::create(builder, loc, bitcast(shifted, type),
                                     integer(23, type));
  bits = arith::AddIOp::create(builder, loc, bits,
                               integer(int64_t(126) << 23, type));
  return mul(add(power, power), bitcast(bits, x.getType()));
}

Value VectorMath::exp(Value x) {
  if (hasExp2 && !isDouble(x))
    return expByExp2(x);
  // Results outside are 0 and infinity anyway; NaN passes both selects.
  Value lowest = constant(isDouble(x) ? -746 : -104, x);
  Value highest = constant(isDouble(x) ? 710 : 89, x);
  Value clamped = select(less(x, lowest), lowest, x);
  clamped = select(less(highest, clamped), highest, clamped);
  Reduced reduced = reduceExp(clamped);
  return scaleByPowerOf2(add(reduced.p, constant(1, x)), reduced.n);
}

/// e^x - 1 for |x| < 80.
Value VectorMath::expm1(Value x) {
  Reduced reduced = reduceExp(x);
  Value one = constant(1, x);
  Value power = scaleByPowerOf2(one, reduced.n);
  return fma(power, reduced.p, sub(power, one));
}

Value VectorMath::log(Value x) {
  bool wide = isDouble(x);
  Type type = integerType(x);
  int64_t mantissaBits = wide ? 52 : 23;
  double smallest = wide ? 0x1p-1022 : 0x1p-126;
  double lift = wide ? 0x1p54 : 0x1p25;
  // Denormals are lifted into the normal range.
  Value isTiny = less(x, constant(smallest, x));
  Value normal = select(isTiny, mul(x, constant(lift, x)), x);
  // x = 2^e * m with m in [sqrt(1/2), sqrt(2)).
  Value bits = bitcast(normal, type);
  int64_t rootBits = wide ? 0x3fe6a09e667f3bcdll : 0x3f3504f3;
  Value shifted =
      arith::SubIOp::create(builder, loc, bits, integer(rootBits, type));
  Value exponent = arith::ShRSIOp::create(builder, loc, shifted,
                                          integer(mantissaBits, type));
  Value m = bitcast(
      arith::SubIOp::create(builder, loc, bits,
                            arith::ShLIOp::create(builder, loc, exponent,
                                                  integer(mantissaBits, type))),
      x.getType());
  Value e = arith::SIToFPOp::create(builder, loc, x.getType(), exponent);
  e = sub(e, select(isTiny, constant(std::log2(lift), x), constant(0, x)));
  // log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2)), s = f / (2 + f).
  Value f = sub(m, constant(1, x));
  Value s = div(f, add(f, constant(2, x)));
  Value z = mul(s, s);
  Value series =
      wide ? horner(z, {2.0 / 23, 2.0 / 21, 2.0 / 19, 2.0 / 17, 2.0 / 15,
                        2.0 / 13, 2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3})
           : horner(z, {2.0 / 11, 2.0 / 9, 2.0 / 7, 2.0 / 5, 2.0 / 3});
  Value halfSquare = mul(constant(0.5, x), mul(f, f));
  double high = wide ? 6.93147180369123816490e-01 : 6.9313812256e-01;
  double low = wide ? 1.90821492927058770002e-10 : 9.0580006145e-06;
  Value tail =
      fma(s, add(halfSquare, mul(z, series)), mul(e, constant(low, x)));
  Value result = fma(e, constant(high, x), sub(f, sub(halfSquare, tail)));
  result = select(equal(x, constant(kInfinity, x)), x, result);
  result = select(equal(x, constant(0, x)), constant(-kInfinity, x), result);
  // Negative or NaN.
  Value ordered = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OGE,
                                        x, constant(0, x));
  return select(ordered, result, constant(kNaN, x));
}

/// exp(y log |x|) in f64, with C's signs and special cases.
Value VectorMath::pow(Value x, Value y) {
  Type element = getElementTypeOrSelf(x);
  Type f64 = builder.getF64Type();
  Value base = convert(x, f64), exponent = convert(y, f64);
  Value magnitude = abs(base), one = constant(1, base);
  Value zero = constant(0, base);
  Value result = exp(mul(exponent, log(magnitude)));
  // 1^y = 1 also for infinite y.
  result = select(equal(magnitude, one), one, result);
  Value isInteger = equal(exponent, floor(exponent));
  Value half = mul(exponent, constant(0.5, base));
  Value isEven = equal(half, floor(half));
  Value negative = select(isEven, result, sub(constant(-0.0, base), result));
  negative = select(isInteger, negative, constant(kNaN, base));
  result = select(less(base, zero), negative, result);
  Value isNaN = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::UNO,
                                      base, exponent);
  result = select(isNaN, constant(kNaN, base), result);
  result = select(equal(base, one), one, result);
  result = select(equal(exponent, zero), one, result);
  return convert(result, element);
}

//===----------------------------------------------------------------------===//
// Trigonometric and hyperbolic functions, error function
//===----------------------------------------------------------------------===//

/// sin(x + quadrant * pi/2). The argument is reduced in f64.
Value VectorMath::sinOrCos(Value x, int quadrant) {
  Type element = getElementTypeOrSelf(x);
  Value wide = convert(x, builder.getF64Type());
  Value n = roundeven(mul(wide, constant(M_2_PI, wide)));
  Value r = fma(n, constant(-0x1.921fb54442d18p+0, wide), wide);
  r = fma(n, constant(-0x1.1a62633145c07p-54, wide), r);
  Value shifted = add(n, constant(quadrant, wide));
  Value q = sub(shifted, mul(constant(4, wide),
                             floor(mul(shifted, constant(0.25, wide)))));
  Value isOdd = arith::OrIOp::create(builder, loc, equal(q, constant(1, wide)),
                                     equal(q, constant(3, wide)));
  Value isNegative = less(constant(1.5, wide), q);
  r = convert(r, element);
  Value z = mul(r, r);
  bool isF64 = isDouble(r);
  Value sine =
      isF64
          ? horner(z, {-1.0 / 1307674368000, 1.0 / 6227020800, -1.0 / 39916800,
                       1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6})
          : horner(z, {1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6});
  sine = fma(mul(sine, z), r, r);
  Value cosine =
      isF64 ? horner(z,
                     {1.0 / 20922789888000, -1.0 / 87178291200, 1.0 / 479001600,
                      -1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24})
            : horner(z, {-1.0 / 3628800, 1.0 / 40320, -1.0 / 720, 1.0 / 24});
  cosine = fma(mul(z, z), cosine, fma(z, constant(-0.5, r), constant(1, r)));
  Value result = select(isOdd, cosine, sine);
  return select(isNegative, sub(constant(-0.0, r), result), result);
}

Value VectorMath::tanh(Value x) {
  Value t = abs(x), one = constant(1, x);
  if (isDouble(x)) {
    Value limit = constant(20, x);
    Value clamped = select(less(limit, t), limit, t);
    Value e = expm1(add(clamped, clamped));
    return copysign(div(e, add(e, constant(2, x))), x);
  }
  Value e = exp(add(t, t));
  Value large = sub(one, div(constant(2, x), add(e, one)));
  Value z = mul(x, x);
  Value small =
      horner(z, {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2,
                 1.33314422036e-1, -3.33332819422e-1});
  small = fma(mul(small, z), x, x);
  return copysign(select(less(t, constant(0.625, x)), small, large), x);
}

Value VectorMath::erf(Value x) {
  Value t = abs(x), s = mul(x, x);
  Value r = fma(constant(-1.72853470e-5, x), t, constant(3.83197126e-4, x));
  Value u = fma(constant(-3.88396438e-3, x), t, constant(2.42546219e-2, x));
  r = fma(r, s, u);
  r = fma(r, t, constant(-1.06777877e-1, x));
  r = fma(r, t, constant(-6.34846687e-1, x));
  r = fma(r, t, constant(-1.28717512e-1, x));
  r = fma(r, t, sub(constant(-0.0, x), t));
  Value large = copysign(sub(constant(1, x), exp(r)), x);
  Value small = horner(s, {-5.96761703e-4, 4.99119423e-3, -2.67681349e-2,
                           1.12819925e-1, -3.76125336e-1, 1.28379166e-1});
  small = fma(small, x, x);
  return select(less(constant(0.927734375, x), t), large, small);
}
