// Attention in f64: plain loops, one query at a time.
#include "device/cpu/AttentionBlocks.h"
#include "device/cpu/VectorConvert.h"

#include <cmath>

namespace tpcrt {
namespace {

struct F64 : Conversions<double> {
  using Scalar = double;
  using Reg = double;
  static constexpr int lanes = 1, wide = 4, wideTile = 2;

  static Reg loadPart(ElementType, const std::byte *from, int64_t) {
    return *reinterpret_cast<const double *>(from);
  }
  static void storePart(ElementType, Reg a, int64_t, std::byte *to) {
    *reinterpret_cast<double *>(to) = a;
  }
  static void transpose(Reg (&)[lanes]) {}

  static Reg load(const double *p) { return *p; }
  static void store(double *p, Reg a) { *p = a; }
  static Reg set1(double a) { return a; }
  static Reg add(Reg a, Reg b) { return a + b; }
  static Reg sub(Reg a, Reg b) { return a - b; }
  static Reg mul(Reg a, Reg b) { return a * b; }
  static Reg div(Reg a, Reg b) { return a / b; }
  static Reg fma(Reg a, Reg b, Reg c) { return a * b + c; }
  static Reg fmsub(Reg a, Reg b, Reg c) { return a * b - c; }
  static Reg max(Reg a, Reg b) { return a > b ? a : b; }
  static Reg exp2(Reg a) { return std::exp2(a); }
  static Reg weight(Reg a) { return exp2(a); }
  static Reg tanh(Reg a) { return std::tanh(a); }
  static Reg finiteOrZero(Reg a) { return a == -__builtin_inf() ? 0 : a; }
  static Reg nonzeroOrOne(Reg a) { return a == 0 ? 1 : a; }
  static Reg selectLess(Reg a, Reg b, Reg yes, Reg no) {
    return a < b ? yes : no;
  }
  static Reg within(Reg a, Reg at, Reg begin, Reg end) {
    return at >= begin && at < end ? a : -__builtin_inf();
  }
};

constexpr AttentionKernels f64 = kernels<NumberProduct<F64>>("loops");

} // namespace

const AttentionKernels *attentionPlain(ElementType type) {
  return type == ElementType::F64 ? &f64 : nullptr;
}

} // namespace tpcrt
