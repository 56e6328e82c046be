// Vectors of 16 f32 with AVX-512 (F, BW, DQ, VL). Included once per translation
// unit of kernels.
#ifndef TPCRT_DEVICE_CPU_VECTORF32X16_H
#define TPCRT_DEVICE_CPU_VECTORF32X16_H

#include "device/cpu/VectorConvert.h"
#include "device/cpu/VectorMath.h"

#include <immintrin.h>

namespace tpcrt {
namespace {

/// 16 x 16 numbers of 32 bits, transposed.
inline void transpose16(__m512i (&rows)[16]) {
  __m512i a[16], b[16];
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  // b[4 q + j] holds columns j, 4 + j, 8 + j, 12 + j of rows 4 q to 4 q + 3.
  for (int j = 0; j < 4; ++j) {
    __m512i even0 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x88);
    __m512i odd0 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xdd);
    __m512i even1 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x88);
    __m512i odd1 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xdd);
    rows[j] = _mm512_shuffle_i32x4(even0, even1, 0x88);
    rows[4 + j] = _mm512_shuffle_i32x4(odd0, odd1, 0x88);
    rows[8 + j] = _mm512_shuffle_i32x4(even0, even1, 0xdd);
    rows[12 + j] = _mm512_shuffle_i32x4(odd0, odd1, 0xdd);
  }
}

struct F32x16 : Conversions<float>, VectorMath<F32x16> {
  using Scalar = float;
  using Reg = __m512;
  static constexpr int lanes = 16, wide = 4, wideTile = 4;

  static __mmask16 firstLanes(int64_t count) {
    return count >= 16 ? 0xffff : (1u << count) - 1;
  }
  /// `count` elements of a type, converted; zeros after them.
  static Reg loadPart(ElementType type, const std::byte *from, int64_t count) {
    __mmask16 lanes = firstLanes(count);
    if (type == ElementType::F32)
      return _mm512_maskz_loadu_ps(lanes, from);
    __m256i bits = _mm256_maskz_loadu_epi16(lanes, from);
    if (type == ElementType::F16)
      return _mm512_cvtph_ps(bits);
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  /// The first `count` lanes, rounded to a type.
  static void storePart(ElementType type, Reg a, int64_t count, std::byte *to) {
    __mmask16 lanes = firstLanes(count);
    if (type == ElementType::F32)
      return _mm512_mask_storeu_ps(to, lanes, a);
    __m256i bits;
    if (type == ElementType::F16) {
      bits = _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT);
    } else {
      // To nearest, ties to even; a NaN stays one.
      __m512i word = _mm512_castps_si512(a);
      __m512i odd =
          _mm512_and_si512(_mm512_srli_epi32(word, 16), _mm512_set1_epi32(1));
      __m512i rounded = _mm512_add_epi32(
          _mm512_add_epi32(word, _mm512_set1_epi32(0x7fff)), odd);
      __mmask16 nan = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
      rounded =
          _mm512_mask_or_epi32(rounded, nan, word, _mm512_set1_epi32(0x400000));
      bits = _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
    }
    _mm256_mask_storeu_epi16(to, lanes, bits);
  }
  static void transpose(Reg (&rows)[lanes]) {
    transpose16(reinterpret_cast<__m512i(&)[lanes]>(rows));
  }

  /// The sum of each of 16 vectors.
  static Reg sumEach(const Reg (&rows)[lanes]) {
    // Of 4 vectors w, w + 4, ...: their sums over 4 lanes, side by side.
    Reg sums[4];
    auto halves = [](Reg a, Reg b) {
      return add(_mm512_shuffle_f32x4(a, b, 0x44),
                 _mm512_shuffle_f32x4(a, b, 0xee));
    };
    for (int w = 0; w < 4; ++w) {
      Reg low = halves(rows[w], rows[4 + w]);
      Reg high = halves(rows[8 + w], rows[12 + w]);
      sums[w] = add(_mm512_shuffle_f32x4(low, high, 0x88),
                    _mm512_shuffle_f32x4(low, high, 0xdd));
    }
    auto pairs = [](Reg a, Reg b) {
      return add(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    };
    Reg first = pairs(sums[0], sums[1]), second = pairs(sums[2], sums[3]);
    return add(_mm512_shuffle_ps(first, second, 0x44),
               _mm512_shuffle_ps(first, second, 0xee));
  }

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

#endif // TPCRT_DEVICE_CPU_VECTORF32X16_H
