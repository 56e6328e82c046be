// Vectors of 16 f32 with AVX-512 (F, BW, DQ, VL). Included once per translation
// unit of attention kernels.
#include "device/cpu/AttentionConvert.h"
#include "device/cpu/AttentionMath.h"

#include <immintrin.h>

namespace tpcrt {
namespace {

struct F32x16 : Conversions<float>, VectorMath<F32x16> {
  using Scalar = float;
  using Reg = __m512;
  static constexpr int lanes = 16, wide = 4, wideTile = 4;

  static Reg load(const float *p) { return _mm512_loadu_ps(p); }
  static void store(float *p, Reg a) { _mm512_storeu_ps(p, a); }
  static Reg set1(float a) { return _mm512_set1_ps(a); }
  static Reg add(Reg a, Reg b) { return _mm512_add_ps(a, b); }
  static Reg sub(Reg a, Reg b) { return _mm512_sub_ps(a, b); }
  static Reg mul(Reg a, Reg b) { return _mm512_mul_ps(a, b); }
  static Reg div(Reg a, Reg b) { return _mm512_div_ps(a, b); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
  static Reg fmsub(Reg a, Reg b, Reg c) { return _mm512_fmsub_ps(a, b, c); }
  /// b if either is NaN.
  static Reg max(Reg a, Reg b) { return _mm512_max_ps(a, b); }
  /// x = n + f with an integer n and |f| <= 1/2; f is 0 for infinities.
  static void splitPower(Reg x, Reg &n, Reg &f) {
    f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEAREST_INT);
    n = sub(x, f);
  }
  /// a * 2^n
  static Reg scalePower(Reg a, Reg n) { return _mm512_scalef_ps(a, n); }
  static Reg abs(Reg a) { return _mm512_abs_ps(a); }
  static Reg selectLess(Reg a, Reg b, Reg yes, Reg no) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
  }
  static Reg withSign(Reg a, Reg sign) {
    return _mm512_or_ps(a, _mm512_and_ps(sign, set1(-0.0f)));
  }
  static Reg finiteOrZero(Reg a) {
    __mmask16 hidden =
        _mm512_cmp_ps_mask(a, set1(-__builtin_inff()), _CMP_EQ_OQ);
    return _mm512_mask_blend_ps(hidden, a, set1(0));
  }
  static Reg nonzeroOrOne(Reg a) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, set1(0), _CMP_EQ_OQ), a,
                                set1(1));
  }
  static Reg within(Reg a, Reg at, Reg begin, Reg end) {
    __mmask16 visible = _mm512_mask_cmp_ps_mask(
        _mm512_cmp_ps_mask(at, begin, _CMP_GE_OQ), at, end, _CMP_LT_OQ);
    return _mm512_mask_blend_ps(visible, set1(-__builtin_inff()), a);
  }
};

} // namespace
} // namespace tpcrt
