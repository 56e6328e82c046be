// Functions on vectors of f32. Included once per instruction set, like
// AttentionBlocks.h.
#ifndef TPCRT_DEVICE_CPU_VECTORMATH_H
#define TPCRT_DEVICE_CPU_VECTORMATH_H

namespace tpcrt {
namespace {

template <class V> struct VectorMath {
  /// 2^x for x <= 127: below 1 ulp of error on normal results, 0 for -inf.
  /// 2^x = 2^n * 2^f with |f| <= 1/2; minimax polynomial of degree 6.
  static auto exp2(auto x) {
    decltype(x) n, f;
    V::splitPower(x, n, f);
    auto p = V::set1(0x1.41d334p-13f);
    for (float c : {0x1.5f456ap-10f, 0x1.3b2dbcp-7f, 0x1.c6aed4p-5f,
                    0x1.ebfbdap-3f, 0x1.62e430p-1f, 1.0f})
      p = V::fma(p, f, V::set1(c));
    return V::scalePower(p, n);
  }

  /// exp2, as precise as weights need it.
  static auto weight(auto x) { return exp2(x); }

  /// Below 0.625 a polynomial (Cephes, tanhf), else by 2^x.
  static auto tanh(auto x) {
    auto a = V::abs(x), square = V::mul(x, x);
    auto p = V::set1(-5.70498872745e-3f);
    for (float c : {2.06390887954e-2f, -5.37397155531e-2f, 1.33314422036e-1f,
                    -3.33332819422e-1f})
      p = V::fma(p, square, V::set1(c));
    auto small = V::fma(V::mul(p, square), x, x);
    auto power = exp2(V::mul(a, V::set1(-2 * 1.44269504f)));
    auto large = V::div(V::sub(V::set1(1), power), V::add(V::set1(1), power));
    return V::selectLess(a, V::set1(0.625f), small, V::withSign(large, x));
  }
};

} // namespace
} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_VECTORMATH_H
