// Values that are not finite, in blocks that some rows of a product see only in
// part: 0 * NaN is NaN, so such a value must not even meet the weight 0 of a
// row that does not see its key.
//
// Where a block has such values, which is rare, the product takes a copy with
// zeros in their place, and they are added to the rows that do see them.
// Included once per instruction set, like AttentionBlocks.h.
#ifndef TPCRT_DEVICE_CPU_ATTENTIONFINITE_H
#define TPCRT_DEVICE_CPU_ATTENTIONFINITE_H

#include "device/cpu/AttentionKernels.h"

namespace tpcrt {
namespace {

/// Rows of a value operand in memory; the stride is in elements.
struct ValueBlock {
  ElementType type;
  const std::byte *data;
  int64_t stride, count, width;
};

/// Calls fn(rows of unsigned integers, their exponents' bits).
template <class Fn> auto withBits(const ValueBlock &block, const Fn &fn) {
  switch (block.type) {
  case ElementType::F64:
    return fn(reinterpret_cast<const uint64_t *>(block.data), uint64_t(0x7ff)
                                                                  << 52);
  case ElementType::F32:
    return fn(reinterpret_cast<const uint32_t *>(block.data), uint32_t(0xff)
                                                                  << 23);
  case ElementType::BF16:
    return fn(reinterpret_cast<const uint16_t *>(block.data),
              uint16_t(0xff << 7));
  default:
    return fn(reinterpret_cast<const uint16_t *>(block.data),
              uint16_t(0x1f << 10));
  }
}

inline bool isFinite(const ValueBlock &block) {
  return withBits(block, [&](auto *rows, auto exponent) {
    bool finite = true;
    for (int64_t t = 0; t < block.count; ++t)
      for (int64_t e = 0; e < block.width; ++e)
        finite &= (rows[t * block.stride + e] & exponent) != exponent;
    return finite;
  });
}

/// A dense copy in `memory` with zeros instead of what is not finite.
inline ValueBlock finiteCopy(const ValueBlock &block, std::byte *memory) {
  withBits(block, [&](auto *rows, auto exponent) {
    auto *to = reinterpret_cast<decltype(exponent) *>(memory);
    for (int64_t t = 0; t < block.count; ++t)
      for (int64_t e = 0; e < block.width; ++e) {
        auto bits = rows[t * block.stride + e];
        to[t * block.width + e] = (bits & exponent) == exponent ? 0 : bits;
      }
  });
  return {block.type, memory, block.width, block.count, block.width};
}

/// Calls add(t, e) for every value that is not finite.
template <class Fn> void forNonFinite(const ValueBlock &block, const Fn &add) {
  withBits(block, [&](auto *rows, auto exponent) {
    for (int64_t t = 0; t < block.count; ++t)
      for (int64_t e = 0; e < block.width; ++e)
        if ((rows[t * block.stride + e] & exponent) == exponent)
          add(t, e);
  });
}

} // namespace
} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_ATTENTIONFINITE_H
