// Elements of all float types, converted to what an attention kernel computes
// in. Included once per instruction set.
#ifndef TPCRT_DEVICE_CPU_VECTORCONVERT_H
#define TPCRT_DEVICE_CPU_VECTORCONVERT_H

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
};

} // namespace
} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_VECTORCONVERT_H
