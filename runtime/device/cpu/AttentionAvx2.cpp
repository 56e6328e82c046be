// Attention in f32 with AVX2, FMA and F16C.
#include "device/cpu/AttentionBlocks.h"
#include "device/cpu/AttentionRows.h"
#include "device/cpu/VectorConvert.h"
#include "device/cpu/VectorMath.h"

#include <immintrin.h>

namespace tpcrt {
namespace {

struct F32x8 : Conversions<float>, VectorMath<F32x8> {
  using Scalar = float;
  using Reg = __m256;
  static constexpr int lanes = 8, wide = 2, wideTile = 6;

  static __m256i firstLanes(int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count < lanes ? count : lanes),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  /// `count` elements of a type, converted; zeros after them.
  static Reg loadPart(ElementType type, const std::byte *from, int64_t count) {
    if (type == ElementType::F32)
      return _mm256_maskload_ps(reinterpret_cast<const float *>(from),
                                firstLanes(count));
    __m128i bits = _mm_setzero_si128();
    if (count >= lanes)
      bits = _mm_loadu_si128(reinterpret_cast<const __m128i *>(from));
    else
      std::memcpy(&bits, from, 2 * count);
    if (type == ElementType::F16)
      return _mm256_cvtph_ps(bits);
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  /// The first `count` lanes, rounded to a type.
  static void storePart(ElementType type, Reg a, int64_t count, std::byte *to) {
    if (type == ElementType::F32)
      return _mm256_maskstore_ps(reinterpret_cast<float *>(to),
                                 firstLanes(count), a);
    __m128i bits;
    if (type == ElementType::F16) {
      bits = _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT);
    } else {
      // To nearest, ties to even; a NaN stays one.
      __m256i word = _mm256_castps_si256(a);
      __m256i odd =
          _mm256_and_si256(_mm256_srli_epi32(word, 16), _mm256_set1_epi32(1));
      __m256i rounded = _mm256_add_epi32(
          _mm256_add_epi32(word, _mm256_set1_epi32(0x7fff)), odd);
      __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q));
      __m256i quiet = _mm256_or_si256(word, _mm256_set1_epi32(0x400000));
      rounded = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
      bits = _mm_packus_epi32(_mm256_castsi256_si128(rounded),
                              _mm256_extracti128_si256(rounded, 1));
    }
    std::memcpy(to, &bits, 2 * (count < lanes ? count : lanes));
  }
  static void transpose(Reg (&rows)[lanes]) {
    Reg a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
      a[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
      a[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
      for (int j = 0; j < 2; ++j) {
        b[i + 2 * j] = _mm256_shuffle_ps(a[i + j], a[i + 2 + j], 0x44);
        b[i + 2 * j + 1] = _mm256_shuffle_ps(a[i + j], a[i + 2 + j], 0xee);
      }
    for (int i = 0; i < 4; ++i) {
      rows[i] = _mm256_permute2f128_ps(b[i], b[4 + i], 0x20);
      rows[4 + i] = _mm256_permute2f128_ps(b[i], b[4 + i], 0x31);
    }
  }

  /// The sum of each of 8 vectors.
  static Reg sumEach(const Reg (&rows)[lanes]) {
    auto sumFour = [](const Reg *four) {
      return _mm256_hadd_ps(_mm256_hadd_ps(four[0], four[1]),
                            _mm256_hadd_ps(four[2], four[3]));
    };
    Reg low = sumFour(rows), high = sumFour(rows + 4);
    return add(_mm256_permute2f128_ps(low, high, 0x20),
               _mm256_permute2f128_ps(low, high, 0x31));
  }

  static Reg load(const float *p) { return _mm256_loadu_ps(p); }
  static void store(float *p, Reg a) { _mm256_storeu_ps(p, a); }
  static Reg set1(float a) { return _mm256_set1_ps(a); }
  static Reg add(Reg a, Reg b) { return _mm256_add_ps(a, b); }
  static Reg sub(Reg a, Reg b) { return _mm256_sub_ps(a, b); }
  static Reg mul(Reg a, Reg b) { return _mm256_mul_ps(a, b); }
  static Reg div(Reg a, Reg b) { return _mm256_div_ps(a, b); }
  static Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
  static Reg fmsub(Reg a, Reg b, Reg c) { return _mm256_fmsub_ps(a, b, c); }
  /// b if either is NaN.
  static Reg max(Reg a, Reg b) { return _mm256_max_ps(a, b); }
  /// x = n + f with an integer n and |f| <= 1/2.
  static void splitPower(Reg x, Reg &n, Reg &f) {
    n = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT);
    f = sub(x, n);
  }
  /// a * 2^n for normal results; 0 below, whatever a is.
  static Reg scalePower(Reg a, Reg n) {
    Reg tiny = _mm256_cmp_ps(n, set1(-126), _CMP_LT_OQ);
    __m256i shift = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    __m256i bits = _mm256_add_epi32(_mm256_castps_si256(a), shift);
    // Adding to the exponent of a NaN may make it a number.
    Reg nan = _mm256_cmp_ps(n, n, _CMP_UNORD_Q);
    Reg scaled = _mm256_andnot_ps(tiny, _mm256_castsi256_ps(bits));
    return _mm256_or_ps(scaled, nan);
  }
  static Reg abs(Reg a) { return _mm256_andnot_ps(set1(-0.0f), a); }
  static Reg selectLess(Reg a, Reg b, Reg yes, Reg no) {
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
  }
  static Reg withSign(Reg a, Reg sign) {
    return _mm256_or_ps(a, _mm256_and_ps(sign, set1(-0.0f)));
  }
  static Reg finiteOrZero(Reg a) {
    Reg hidden = _mm256_cmp_ps(a, set1(-__builtin_inff()), _CMP_EQ_OQ);
    return _mm256_andnot_ps(hidden, a);
  }
  static Reg nonzeroOrOne(Reg a) {
    return _mm256_blendv_ps(a, set1(1), _mm256_cmp_ps(a, set1(0), _CMP_EQ_OQ));
  }
  static Reg within(Reg a, Reg at, Reg begin, Reg end) {
    Reg visible = _mm256_and_ps(_mm256_cmp_ps(at, begin, _CMP_GE_OQ),
                                _mm256_cmp_ps(at, end, _CMP_LT_OQ));
    return _mm256_blendv_ps(set1(-__builtin_inff()), a, visible);
  }
};

constexpr AttentionKernels blocks = kernels<NumberProduct<F32x8>>("avx2");
template <ElementType Type>
constexpr AttentionKernels rows = FewRows<F32x8, Type>::kernels("avx2_rows");

} // namespace

const AttentionKernels *attentionAvx2(ElementType type) {
  return type == ElementType::F64 ? nullptr : &blocks;
}

const AttentionKernels *attentionAvx2Rows(ElementType type) {
  return type == ElementType::F32    ? &rows<ElementType::F32>
         : type == ElementType::BF16 ? &rows<ElementType::BF16>
         : type == ElementType::F16  ? &rows<ElementType::F16>
                                     : nullptr;
}

} // namespace tpcrt
