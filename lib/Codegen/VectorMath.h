//===- VectorMath.h - Elementary functions as arithmetic --------*- C++ -*-===//
//
// exp, log, sin, ... as arith and math operations that are single instructions
// (fma, round, sqrt), on f32 or f64, scalars or vectors alike. No calls: a
// kernel image has no undefined symbols.
//
// Accuracy in f32, in units in the last place: exp 1.2 (denormal results
// included), tanh 1.5, erf 1.0, log 1, sin and cos 1.6 up to |x| = 1e9,
// pow 1 (computed in f64). Infinities and NaN as in C.
//
// With a GPU's exp2 exp takes 10 instructions instead of 25; it has 3 units
// then, and results below 2^-125 are 0.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_CODEGEN_VECTORMATH_H
#define TPC_LIB_CODEGEN_VECTORMATH_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include <initializer_list>

namespace tpc {

class VectorMath {
public:
  /// `hasExp2`: the target is a GPU, which approximates 2^x in one instruction.
  VectorMath(mlir::OpBuilder &builder, mlir::Location loc, bool hasExp2 = false)
      : builder(builder), loc(loc), hasExp2(hasExp2) {}

  mlir::Value exp(mlir::Value x);
  mlir::Value log(mlir::Value x);
  mlir::Value sin(mlir::Value x) { return sinOrCos(x, 0); }
  mlir::Value cos(mlir::Value x) { return sinOrCos(x, 1); }
  mlir::Value tanh(mlir::Value x);
  mlir::Value pow(mlir::Value x, mlir::Value y);
  mlir::Value sqrt(mlir::Value x);
  mlir::Value rsqrt(mlir::Value x);
  mlir::Value abs(mlir::Value x);
  /// f32 only.
  mlir::Value erf(mlir::Value x);
  mlir::Value fma(mlir::Value a, mlir::Value b, mlir::Value c);

  /// A constant of the type of `like`.
  mlir::Value constant(double value, mlir::Value like);
  mlir::Value integer(int64_t value, mlir::Type type);

private:
  /// 2^n * (p + shift) pieces of exp: e^x = 2^n * (1 + p).
  struct Reduced {
    mlir::Value p, n;
  };
  Reduced reduceExp(mlir::Value x);
  mlir::Value expByExp2(mlir::Value x);
  mlir::Value scaleByPowerOf2(mlir::Value x, mlir::Value n);
  mlir::Value expm1(mlir::Value x);
  mlir::Value sinOrCos(mlir::Value x, int quadrant);
  mlir::Value horner(mlir::Value x, std::initializer_list<double> highFirst);

  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, mlir::Value b);
  mlir::Value div(mlir::Value a, mlir::Value b);
  mlir::Value less(mlir::Value a, mlir::Value b);
  mlir::Value equal(mlir::Value a, mlir::Value b);
  mlir::Value select(mlir::Value condition, mlir::Value a, mlir::Value b);
  mlir::Value copysign(mlir::Value magnitude, mlir::Value sign);
  mlir::Value roundeven(mlir::Value x);
  mlir::Value floor(mlir::Value x);
  mlir::Value bitcast(mlir::Value x, mlir::Type type);
  mlir::Value convert(mlir::Value x, mlir::Type element);
  /// The integer type of the same width and form.
  mlir::Type integerType(mlir::Value x);
  bool isDouble(mlir::Value x);

  mlir::OpBuilder &builder;
  mlir::Location loc;
  bool hasExp2;
};

/// `type` with another element type: a scalar or a vector of as many lanes.
mlir::Type withElement(mlir::Type type, mlir::Type element);

} // namespace tpc

#endif // TPC_LIB_CODEGEN_VECTORMATH_H
