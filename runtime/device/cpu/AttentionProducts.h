// The product of elements that are read one by one with rows of vectors, in
// registers: what attention's blocks are computed with. Included once per
// instruction set, like AttentionBlocks.h.
//
// A product says what one element is: a number (F32 and F64), or a pair of bf16
// that meets a pair of the other operand in one instruction.
#ifndef TPCRT_DEVICE_CPU_ATTENTIONPRODUCTS_H
#define TPCRT_DEVICE_CPU_ATTENTIONPRODUCTS_H

#include "device/cpu/AttentionOperands.h"

#include <cstring>

namespace tpcrt {
namespace {

/// An operand read element by element: element (i, e) at i * row + e * col.
template <class Element> struct Elements {
  const Element *data;
  int64_t row, col;
};

/// c [MT, NR vectors] = c * factor (zero without one) + a [MT, depth] x
/// b [depth, rows].
template <class P, int NR, int MT>
void multiplyTile(Elements<typename P::Element> a, int64_t depth,
                  const typename P::Element *b, typename P::V::Scalar *c,
                  const typename P::V::Scalar *factor, int64_t rows) {
  using V = typename P::V;
  using Reg = typename V::Reg;
  Reg acc[MT][NR];
  for (int j = 0; j < NR; ++j)
    for (int i = 0; i < MT; ++i)
      acc[i][j] = factor ? V::mul(V::load(c + i * rows + j * V::lanes),
                                  V::load(factor + j * V::lanes))
                         : V::set1(0);
  for (int64_t e = 0; e < depth; ++e) {
    Reg column[NR];
    for (int j = 0; j < NR; ++j)
      column[j] = P::loadColumn(b + e * rows + j * V::lanes);
    for (int i = 0; i < MT; ++i) {
      Reg element = P::broadcast(a.data[i * a.row + e * a.col]);
      for (int j = 0; j < NR; ++j)
        acc[i][j] = P::multiplyAdd(element, column[j], acc[i][j]);
    }
  }
  for (int i = 0; i < MT; ++i)
    for (int j = 0; j < NR; ++j)
      V::store(c + i * rows + j * V::lanes, acc[i][j]);
}

/// multiplyTile for `count` rows of a.
template <class P, int NR, int MT>
void multiplyTiles(Elements<typename P::Element> a, int64_t count,
                   int64_t depth, const typename P::Element *b,
                   typename P::V::Scalar *c,
                   const typename P::V::Scalar *factor, int64_t rows) {
  for (; count >= MT; count -= MT, a.data += MT * a.row, c += MT * rows)
    multiplyTile<P, NR, MT>(a, depth, b, c, factor, rows);
  if constexpr (MT > 1)
    multiplyTiles<P, NR, MT / 2>(a, count, depth, b, c, factor, rows);
}

/// c [count, rows] = c * factor + a [count, depth] x b [depth, rows].
template <class P>
void multiplyInRegisters(Elements<typename P::Element> a, int64_t count,
                         int64_t depth, const typename P::Element *b,
                         typename P::V::Scalar *c,
                         const typename P::V::Scalar *factor, int64_t rows) {
  using V = typename P::V;
  constexpr int wide = V::wide;
  int64_t at = 0;
  auto width = [&] {
    return at + wide * V::lanes <= rows ? wide * V::lanes : V::lanes;
  };
  for (; at < rows; at += width()) {
    const auto *scaled = factor ? factor + at : nullptr;
    if (width() > V::lanes)
      multiplyTiles<P, wide, V::wideTile>(a, count, depth, b + at, c + at,
                                          scaled, rows);
    else
      multiplyTiles<P, 1, 8>(a, count, depth, b + at, c + at, scaled, rows);
  }
}

/// Elements are numbers of the type that the vectors hold. Operands of another
/// type are converted block by block.
template <class Vector> struct NumberProduct {
  using V = Vector;
  using Scalar = typename V::Scalar;
  using Reg = typename V::Reg;
  using Element = Scalar;
  static constexpr int64_t pack = 1;      // components in an element
  static constexpr int64_t keyUnit = 1;   // keys that weights are padded to
  static constexpr int64_t valueUnit = 1; // components that results are

  static Reg loadColumn(const Element *p) { return V::load(p); }
  static Reg broadcast(Element a) { return V::set1(a); }
  static Reg multiplyAdd(Reg a, Reg b, Reg c) { return V::fma(a, b, c); }

  static void enter() {}
  static void leave() {}

  static int64_t keyBytes(int64_t width) {
    return keyBlock * width * sizeof(Scalar);
  }
  static int64_t valueBytes(int64_t width) { return keyBytes(width); }

  /// Elements [at, at + V::lanes) of a query of `width` components.
  static Reg loadQuery(ElementType type, const std::byte *data, int64_t at,
                       int64_t width) {
    return V::loadPart(type, data + at * elementBytes(type), width - at);
  }

  /// [count, width], as it lies if possible: a copy of rows that are far apart
  /// costs less than what they do to the cache.
  static Elements<Element> readKeys(ElementType type, const std::byte *data,
                                    int64_t stride, int64_t count,
                                    int64_t width, void *memory) {
    auto *packed = static_cast<Scalar *>(memory);
    int64_t size = elementBytes(type);
    if (size == sizeof(Scalar) && stride == width)
      return {reinterpret_cast<const Scalar *>(data), stride, 1};
    for (int64_t t = 0; t < count; ++t)
      V::convert(type, data + t * stride * size, width, packed + t * width);
    return {packed, width, 1};
  }

  /// The same, transposed.
  static Elements<Element> readValues(ElementType type, const std::byte *data,
                                      int64_t stride, int64_t count,
                                      int64_t width, void *memory) {
    auto rows = readKeys(type, data, stride, count, width, memory);
    return {rows.data, rows.col, rows.row};
  }

  /// Weights of two keys and V::lanes rows, in place of their scores.
  static void storeWeights(Scalar *weights, int64_t rows, int64_t r, int64_t t,
                           Reg first, Reg second) {
    V::store(weights + t * rows + r, first);
    V::store(weights + (t + 1) * rows + r, second);
  }

  static void multiply(Elements<Element> a, int64_t count, int64_t depth,
                       const Element *b, Scalar *c, const Scalar *factor,
                       int64_t rows) {
    multiplyInRegisters<NumberProduct>(a, count, depth, b, c, factor, rows);
  }
};

} // namespace
} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_ATTENTIONPRODUCTS_H
