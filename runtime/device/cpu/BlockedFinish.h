// What becomes of sums of a product. Included once per instruction set.
#ifndef TPCRT_DEVICE_CPU_BLOCKEDFINISH_H
#define TPCRT_DEVICE_CPU_BLOCKEDFINISH_H

#include "device/cpu/BlockedKernels.h"

namespace tpcrt {
namespace {

template <class V> struct Activations {
  using Reg = typename V::Reg;

  static Reg exp(Reg x) { return V::exp2(V::mul(x, V::set1(1.44269504f))); }

  static Reg silu(Reg x) {
    Reg power = exp(V::sub(V::set1(0), x));
    return V::div(x, V::add(V::set1(1), power));
  }

  /// x times the normal distribution's integral up to x, whose upper half is
  /// 1 - q and whose lower one is q = erfc(|x| / sqrt(2)) / 2: Abramowitz and
  /// Stegun 7.1.26, below 1.5e-7 of error.
  static Reg geluErf(Reg x) {
    Reg z = V::mul(V::abs(x), V::set1(0.707106781f));
    Reg t = V::div(V::set1(1), V::fma(z, V::set1(0.3275911f), V::set1(1)));
    Reg p = V::set1(1.061405429f);
    for (float c : {-1.453152027f, 1.421413741f, -0.284496736f, 0.254829592f})
      p = V::fma(p, t, V::set1(c));
    Reg power = exp(V::mul(z, V::sub(V::set1(0), z)));
    Reg q = V::mul(V::mul(V::mul(p, t), V::set1(0.5f)), power);
    return V::mul(x, V::selectLess(x, V::set1(0), q, V::sub(V::set1(1), q)));
  }

  static Reg geluTanh(Reg x) {
    Reg cubic = V::fma(V::mul(V::mul(x, x), V::set1(0.044715f)), x, x);
    Reg t = V::tanh(V::mul(cubic, V::set1(0.797884561f)));
    return V::mul(V::mul(x, V::set1(0.5f)), V::add(V::set1(1), t));
  }

  static Reg apply(Activation activation, Reg x) {
    switch (activation) {
    case Activation::None:
      return x;
    case Activation::GeluErf:
      return geluErf(x);
    case Activation::GeluTanh:
      return geluTanh(x);
    case Activation::Silu:
      return silu(x);
    case Activation::Tanh:
      return V::tanh(x);
    }
    return x;
  }
};

inline int64_t resultBytes(const BlockedProduct &p) {
  return p.cType == ElementType::F32 ? 4 : 2;
}

inline std::byte *resultAt(const BlockedProduct &p, int64_t row,
                           int64_t column) {
  return p.c + (row * p.cRowStride + column) * resultBytes(p);
}

/// What becomes of sums of columns [column, column + V::lanes), of which there
/// are `count`.
template <class V>
inline typename V::Reg finished(const BlockedProduct &p, typename V::Reg sums,
                                int64_t column, int64_t count) {
  if (p.bias)
    sums = V::add(
        sums, V::loadPart(p.cType, p.bias + column * resultBytes(p), count));
  if (p.activation != Activation::None)
    sums = Activations<V>::apply(p.activation, sums);
  return sums;
}

/// Writes the result of a row's columns [column, column + V::lanes), as many as
/// there are.
template <class V>
inline void finish(const BlockedProduct &p, typename V::Reg sums, int64_t row,
                   int64_t column) {
  int64_t count = p.n - column;
  V::storePart(p.cType, finished<V>(p, sums, column, count), count,
               resultAt(p, row, column));
}

} // namespace
} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_BLOCKEDFINISH_H
