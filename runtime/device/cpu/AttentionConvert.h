// Elements of all float types, converted to what an attention kernel computes
// in and back. Included once per instruction set, like AttentionBlocks.h.
#include "tpcrt/ElementType.h"

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace tpcrt {
namespace {

template <class To> To fromBits(auto bits) {
  To result;
  static_assert(sizeof(result) == sizeof(bits));
  std::memcpy(&result, &bits, sizeof(bits));
  return result;
}

/// To nearest, ties to even.
inline uint16_t roundToBf16(float value) {
  uint32_t bits = fromBits<uint32_t>(value);
  if (value != value)
    return (bits >> 16) | 0x40;
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

template <class Scalar> struct Conversions {
  static void convert(ElementType type, const std::byte *from, int64_t count,
                      Scalar *to) {
    if (type == ElementType::F32)
      for (int64_t i = 0; i < count; ++i)
        to[i] = reinterpret_cast<const float *>(from)[i];
    else if (type == ElementType::F64)
      for (int64_t i = 0; i < count; ++i)
        to[i] = reinterpret_cast<const double *>(from)[i];
    else if (type == ElementType::BF16)
      for (int64_t i = 0; i < count; ++i)
        to[i] = fromBits<float>(
            uint32_t(reinterpret_cast<const uint16_t *>(from)[i]) << 16);
    else
      for (int64_t i = 0; i < count; ++i)
        to[i] = reinterpret_cast<const _Float16 *>(from)[i];
  }

  static void convertBack(ElementType type, const Scalar *from, int64_t count,
                          std::byte *to) {
    if (type == ElementType::F32)
      for (int64_t i = 0; i < count; ++i)
        reinterpret_cast<float *>(to)[i] = from[i];
    else if (type == ElementType::F64)
      for (int64_t i = 0; i < count; ++i)
        reinterpret_cast<double *>(to)[i] = from[i];
    else if (type == ElementType::BF16)
      for (int64_t i = 0; i < count; ++i)
        reinterpret_cast<uint16_t *>(to)[i] = roundToBf16(from[i]);
    else
      for (int64_t i = 0; i < count; ++i)
        reinterpret_cast<_Float16 *>(to)[i] = from[i];
  }
};

} // namespace
} // namespace tpcrt
