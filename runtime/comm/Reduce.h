// Elementwise reduction of several members' buffers.
#ifndef TPCRT_COMM_REDUCE_H
#define TPCRT_COMM_REDUCE_H

#include "artifact/Module.h"

namespace tpcrt {

/// The most elements that reduceBlock takes at once.
inline constexpr size_t reduceBlockSize = 1024;

/// dst[0..count) = reduce over i of srcs[i][offset .. offset+count), in the
/// order of i, so that results do not depend on timing. bf16 and f16 are summed
/// in f32 and rounded once; integers wrap; on bool, sum and max are "or", min
/// is "and"; max and min of floats give NaN if any element is NaN. dst may be
/// one of the sources. count <= reduceBlockSize.
void reduceBlock(ElementType type, Reduction reduction, void *dst,
                 std::span<const std::byte *const> srcs, size_t offset,
                 size_t count);

} // namespace tpcrt

#endif // TPCRT_COMM_REDUCE_H
