// Conversion of bf16 and f16, stored as 16 bits, to and from f32; rounding is
// to nearest, ties to even.
#ifndef TPCRT_SUPPORT_FLOAT16_H
#define TPCRT_SUPPORT_FLOAT16_H

#include <bit>
#include <cstdint>

namespace tpcrt {

struct BFloat16 {
  uint16_t bits;
  BFloat16() = default;
  explicit BFloat16(float value) {
    uint32_t word = std::bit_cast<uint32_t>(value);
    uint32_t rounded = (word + 0x7fff + ((word >> 16) & 1)) >> 16;
    // Rounding up the bits of a NaN could turn it into an infinity.
    bits = value != value ? (word >> 16) | 0x40 : rounded;
  }
  explicit operator float() const {
    return std::bit_cast<float>(uint32_t(bits) << 16);
  }
};

struct Half {
  _Float16 value;
  Half() = default;
  explicit Half(float f) : value(static_cast<_Float16>(f)) {}
  explicit operator float() const { return static_cast<float>(value); }
};

static_assert(sizeof(BFloat16) == 2 && sizeof(Half) == 2);

} // namespace tpcrt

#endif // TPCRT_SUPPORT_FLOAT16_H
