// Arithmetic on sizes that came from a file: nullopt instead of overflow.
#ifndef TPCRT_SUPPORT_SIZEMATH_H
#define TPCRT_SUPPORT_SIZEMATH_H

#include <cstdint>
#include <optional>
#include <vector>

namespace tpcrt {

inline std::optional<uint64_t> checkedMul(uint64_t a, uint64_t b) {
  uint64_t result;
  if (__builtin_mul_overflow(a, b, &result))
    return std::nullopt;
  return result;
}

inline std::optional<uint64_t> checkedAdd(uint64_t a, uint64_t b) {
  uint64_t result;
  if (__builtin_add_overflow(a, b, &result))
    return std::nullopt;
  return result;
}

/// The bytes of a dense tensor; limited to 2^62 so that sums and signed byte
/// offsets of a few of them cannot overflow either. A dimension of size 0 does
/// not excuse the overflow of the others.
inline std::optional<uint64_t> checkedBytes(const std::vector<uint64_t> &shape,
                                            uint64_t elementSize) {
  uint64_t result = elementSize;
  bool empty = false;
  for (uint64_t size : shape) {
    empty |= size == 0;
    if (__builtin_mul_overflow(result, size ? size : 1, &result) ||
        result > uint64_t(1) << 62)
      return std::nullopt;
  }
  return empty ? 0 : result;
}

/// Dimension `size` of a strided view.
struct ViewDim {
  uint64_t size;
  int64_t stride;
};

/// Whether every element offset + sum(i_d * stride_d) of a view lies in
/// [0, limit). A view without elements lies anywhere.
inline bool viewFits(uint64_t offset, const std::vector<ViewDim> &dims,
                     uint64_t limit) {
  // 128 bits hold the sum of a few thousand products of 64 x 64 bits only if
  // each is bounded; stop as soon as a bound is left for good.
  __int128 low = offset, high = offset;
  for (const ViewDim &dim : dims) {
    if (dim.size == 0)
      return true;
  }
  const __int128 far = (__int128)1 << 100;
  for (const ViewDim &dim : dims) {
    __int128 reach = (__int128)(dim.size - 1);
    if (dim.stride != 0 &&
        reach > far / (dim.stride < 0 ? -(__int128)dim.stride : dim.stride))
      return false;
    reach *= dim.stride;
    (reach < 0 ? low : high) += reach;
    if (low < -far || high > far)
      return false;
  }
  return low >= 0 && high < (__int128)limit;
}

} // namespace tpcrt

#endif // TPCRT_SUPPORT_SIZEMATH_H
