// Attention of bf16 operands, accumulated in f32: with AVX512_BF16, which
// multiplies pairs, and with AMX, which multiplies tiles of 16 rows of 16
// pairs.
//
// Weights of two keys are rounded to a pair in place of their scores; values of
// two keys are interleaved to pairs once for a block.
#include "device/cpu/AttentionBlocks.h"
#include "device/cpu/VectorF32x16.h"

namespace tpcrt {
namespace {

/// Weights that are rounded to bf16 need no more than 2^-18 of precision.
struct Coarse : F32x16 {
  static Reg weight(Reg x) {
    Reg n, f;
    splitPower(x, n, f);
    Reg p = set1(0x1.3997d6p-7f);
    for (float c :
         {0x1.ca1440p-5f, 0x1.ec06dap-3f, 0x1.62e0dcp-1f, 0x1.ffffe8p-1f})
      p = fma(p, f, set1(c));
    return scalePower(p, n);
  }
};

using Columns = __m512i; // 32 components of a key

/// `count` of 32 components from `data`, zeros after them.
inline Columns loadColumns(const uint16_t *data, int64_t count) {
  __mmask32 mask = count >= 32 ? ~__mmask32(0)
                   : count > 0 ? (__mmask32(1) << count) - 1
                               : 0;
  return _mm512_maskz_loadu_epi16(mask, data);
}

/// Pairs (first[i], second[i]) for i below and from 16.
inline void interleave(Columns first, Columns second, Columns &low,
                       Columns &high) {
  alignas(64) static constexpr uint16_t lowOrder[32] = {
      0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
      8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  Columns order = _mm512_load_si512(lowOrder);
  low = _mm512_permutex2var_epi16(first, order, second);
  order = _mm512_add_epi16(order, _mm512_set1_epi16(16));
  high = _mm512_permutex2var_epi16(first, order, second);
}

/// Copies rows of bf16 to rows of `padded` components, zeros at their ends.
inline void copyRows(const uint16_t *from, int64_t stride, int64_t count,
                     int64_t width, int64_t padded, uint16_t *to) {
  for (int64_t t = 0; t < count; ++t) {
    std::memcpy(to + t * padded, from + t * stride, 2 * width);
    std::memset(to + t * padded + width, 0, 2 * (padded - width));
  }
}

/// Elements are pairs, multiplied and added in vectors.
struct PairProduct {
  using V = Coarse;
  using Reg = V::Reg;
  using Element = uint32_t;
  static constexpr int64_t pack = 2, keyUnit = 2, valueUnit = 1;

  static Reg loadColumn(const Element *p) {
    return V::load(reinterpret_cast<const float *>(p));
  }
  static Reg broadcast(Element a) {
    return _mm512_castsi512_ps(_mm512_set1_epi32(a));
  }
  static Reg multiplyAdd(Reg a, Reg b, Reg c) {
    return _mm512_dpbf16_ps(c, (__m512bh)a, (__m512bh)b);
  }

  static void enter() {}
  static void leave() {}

  static int64_t keyBytes(int64_t width) {
    return keyBlock * roundUp(width, 2) * 2;
  }
  static int64_t valueBytes(int64_t width) {
    return keyBlock * roundUp(width, 32) * 2;
  }

  /// Pairs [at / 2, at / 2 + 16) of a query of `width` components.
  static Reg loadQuery(ElementType, const std::byte *data, int64_t at,
                       int64_t width) {
    auto *from = reinterpret_cast<const uint16_t *>(data);
    return _mm512_castsi512_ps(loadColumns(from + at, width - at));
  }

  static Elements<Element> readKeys(ElementType, const std::byte *data,
                                    int64_t stride, int64_t count,
                                    int64_t width, void *memory) {
    int64_t padded = roundUp(width, 2);
    if (stride == padded && reinterpret_cast<uintptr_t>(data) % 4 == 0)
      return {reinterpret_cast<const Element *>(data), padded / 2, 1};
    copyRows(reinterpret_cast<const uint16_t *>(data), stride, count, width,
             padded, static_cast<uint16_t *>(memory));
    return {static_cast<const Element *>(memory), padded / 2, 1};
  }

  /// [count / 2, width] pairs, read transposed.
  static Elements<Element> readValues(ElementType, const std::byte *data,
                                      int64_t stride, int64_t count,
                                      int64_t width, void *memory) {
    auto *from = reinterpret_cast<const uint16_t *>(data);
    auto *to = static_cast<Element *>(memory);
    int64_t padded = roundUp(width, 32);
    for (int64_t t = 0; t < count; t += 2)
      for (int64_t v = 0; v < width; v += 32) {
        const uint16_t *at = from + t * stride + v;
        Columns low, high;
        interleave(loadColumns(at, width - v),
                   t + 1 < count ? loadColumns(at + stride, width - v)
                                 : _mm512_setzero_si512(),
                   low, high);
        Element *pairs = to + t / 2 * padded + v;
        _mm512_storeu_si512(pairs, low);
        _mm512_storeu_si512(pairs + 16, high);
      }
    return {to, 1, padded};
  }

  static void storeWeights(float *weights, int64_t rows, int64_t r, int64_t t,
                           Reg first, Reg second) {
    alignas(64) static constexpr uint16_t order[32] = {
        0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    auto rounded = (Columns)_mm512_cvtne2ps_pbh(second, first);
    _mm512_storeu_si512(
        weights + t / 2 * rows + r,
        _mm512_permutexvar_epi16(_mm512_load_si512(order), rounded));
  }

  static void multiply(Elements<Element> a, int64_t count, int64_t depth,
                       const Element *b, float *c, const float *factor,
                       int64_t rows) {
    multiplyInRegisters<PairProduct>(a, count, depth, b, c, factor, rows);
  }
};

//===--- AMX ------------------------------------------------------------===//

/// Elements are pairs, multiplied and added in tiles.
struct TileProduct : PairProduct {
  static constexpr int64_t keyUnit = 32, valueUnit = 16;

  static void enter() {
    struct alignas(64) {
      uint8_t palette = 1, start = 0, reserved[14] = {};
      uint16_t bytes[16] = {};
      uint8_t rows[16] = {};
    } config;
    for (int i = 0; i < 8; ++i) {
      config.bytes[i] = 64;
      config.rows[i] = 16;
    }
    _tile_loadconfig(&config);
  }
  static void leave() { _tile_release(); }

  static int64_t keyBytes(int64_t width) {
    return keyBlock * roundUp(width, 32) * 2;
  }
  static int64_t valueBytes(int64_t width) { return keyBytes(width); }

  /// Whole tiles are read as they lie.
  static Elements<Element> readKeys(ElementType, const std::byte *data,
                                    int64_t stride, int64_t count,
                                    int64_t width, void *memory) {
    auto *from = reinterpret_cast<const uint16_t *>(data);
    if (count % 16 == 0 && width % 32 == 0 && stride % 2 == 0)
      return {reinterpret_cast<const Element *>(data), stride / 2, 1};
    int64_t padded = roundUp(width, 32);
    copyRows(from, stride, count, width, padded,
             static_cast<uint16_t *>(memory));
    return {static_cast<const Element *>(memory), padded / 2, 1};
  }

  /// [width, count / 2] pairs, padded to tiles with zeros.
  static Elements<Element> readValues(ElementType, const std::byte *data,
                                      int64_t stride, int64_t count,
                                      int64_t width, void *memory) {
    auto *from = reinterpret_cast<const uint16_t *>(data);
    auto *to = static_cast<Element *>(memory);
    constexpr int64_t row = keyBlock / 2;
    for (int64_t t = 0; t < count; t += 32)
      for (int64_t v = 0; v < width; v += 32) {
        __m512i low[16], high[16];
        for (int64_t i = 0; i < 16; ++i) {
          int64_t key = t + 2 * i;
          const uint16_t *at = from + key * stride + v;
          auto load = [&](int64_t j) {
            return loadColumns(at + j * stride,
                               key + j < count ? width - v : 0);
          };
          interleave(load(0), load(1), low[i], high[i]);
        }
        transpose16(low);
        transpose16(high);
        for (int64_t i = 0; i < 16; ++i) {
          _mm512_storeu_si512(to + (v + i) * row + t / 2, low[i]);
          _mm512_storeu_si512(to + (v + 16 + i) * row + t / 2, high[i]);
        }
      }
    return {to, row, 1};
  }

  static void multiply(Elements<Element> a, int64_t count, int64_t depth,
                       const Element *b, float *c, const float *factor,
                       int64_t rows) {
    if (factor)
      rescale(c, factor, count, rows);
    int64_t r = 0;
    for (; r + 32 <= rows; r += 32)
      multiplyColumns<2>(a, count, depth, b + r, c + r, factor, rows);
    if (r < rows)
      multiplyColumns<1>(a, count, depth, b + r, c + r, factor, rows);
  }

private:
  static void rescale(float *c, const float *factor, int64_t count,
                      int64_t rows) {
    for (int64_t r = 0; r < rows; r += V::lanes) {
      Reg by = V::load(factor + r);
      if (_mm512_cmp_ps_mask(by, V::set1(1), _CMP_NEQ_UQ) == 0)
        continue;
      for (int64_t i = 0; i < count; ++i)
        V::store(c + i * rows + r, V::mul(V::load(c + i * rows + r), by));
    }
  }

  /// Tiles 0 to 3 are of c, 4 and 5 of a, 6 and 7 of b.
  template <int N>
  static void multiplyColumns(Elements<Element> a, int64_t count, int64_t depth,
                              const Element *b, float *c, const float *factor,
                              int64_t rows) {
    int64_t i = 0;
    for (; i + 16 < count; i += 32)
      multiplyTiles<2, N>({a.data + i * a.row, a.row, 1}, depth, b,
                          c + i * rows, factor, rows);
    if (i < count)
      multiplyTiles<1, N>({a.data + i * a.row, a.row, 1}, depth, b,
                          c + i * rows, factor, rows);
  }

  template <int M, int N>
  static void multiplyTiles(Elements<Element> a, int64_t depth,
                            const Element *b, float *c, const float *factor,
                            int64_t rows) {
    int64_t cBytes = rows * 4, aBytes = a.row * 4, bBytes = rows * 4;
    float *lower = c + 16 * rows;
    if (factor) {
      _tile_loadd(0, c, cBytes);
      if constexpr (N == 2)
        _tile_loadd(1, c + 16, cBytes);
      if constexpr (M == 2)
        _tile_loadd(2, lower, cBytes);
      if constexpr (M == 2 && N == 2)
        _tile_loadd(3, lower + 16, cBytes);
    } else {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    for (int64_t e = 0; e < depth; e += 16) {
      _tile_loadd(4, a.data + e, aBytes);
      _tile_loadd(6, b + e * rows, bBytes);
      _tile_dpbf16ps(0, 4, 6);
      if constexpr (N == 2) {
        _tile_loadd(7, b + e * rows + 16, bBytes);
        _tile_dpbf16ps(1, 4, 7);
      }
      if constexpr (M == 2) {
        _tile_loadd(5, a.data + 16 * a.row + e, aBytes);
        _tile_dpbf16ps(2, 5, 6);
      }
      if constexpr (M == 2 && N == 2)
        _tile_dpbf16ps(3, 5, 7);
    }
    _tile_stored(0, c, cBytes);
    if constexpr (N == 2)
      _tile_stored(1, c + 16, cBytes);
    if constexpr (M == 2)
      _tile_stored(2, lower, cBytes);
    if constexpr (M == 2 && N == 2)
      _tile_stored(3, lower + 16, cBytes);
  }
};

constexpr AttentionKernels pairs = kernels<PairProduct>("avx512_bf16");
constexpr AttentionKernels tiles = kernels<TileProduct>("amx_bf16");

} // namespace

const AttentionKernels *attentionAvx512Bf16(ElementType type) {
  return type == ElementType::BF16 ? &pairs : nullptr;
}

const AttentionKernels *attentionAmx(ElementType type) {
  return type == ElementType::BF16 ? &tiles : nullptr;
}

} // namespace tpcrt
