// Copies a strided block of elements into another, converting their type: the
// one loop behind parameter loading, scattering inputs, gathering outputs and
// staging matmul operands.
#ifndef TPCRT_SUPPORT_STRIDEDCOPY_H
#define TPCRT_SUPPORT_STRIDEDCOPY_H

#include "tpcrt/ElementType.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace tpcrt {

/// `size` steps, each moving both pointers by a stride in elements.
struct CopyDim {
  uint64_t size;
  int64_t dstStride;
  int64_t srcStride;
};

/// dst[sum(i_d * dstStride_d)] = convert(src[sum(i_d * srcStride_d)]).
/// Conversion follows C for numbers in range; out-of-range floats become the
/// nearest integer end and NaN becomes 0; to bool is != 0. Neither pointer need
/// be aligned. The blocks do not overlap.
void copyStrided(void *dst, ElementType dstType, const void *src,
                 ElementType srcType, std::vector<CopyDim> dims);

/// The strides of a dense row-major tensor.
std::vector<int64_t> denseStrides(const std::vector<uint64_t> &shape);

} // namespace tpcrt

#endif // TPCRT_SUPPORT_STRIDEDCOPY_H
