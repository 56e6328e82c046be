// Which of our own kernels multiplies by weights that are packed in blocks of
// columns (BlockedKernels.h).
#ifndef TPCRT_DEVICE_CPU_BLOCKED_H
#define TPCRT_DEVICE_CPU_BLOCKED_H

#include "device/cpu/BlockedKernels.h"
#include "device/cpu/ThreadTeam.h"

#include <oneapi/dnnl/dnnl.hpp>

#include <optional>

namespace tpcrt {

struct BlockedWeights {
  int64_t columns = 0; // of a block
  int64_t blockBytes = 0;
};

/// The blocks in which a matrix [k, n] of f32 or bf16 lies; none if it lies
/// otherwise.
std::optional<BlockedWeights> asBlocked(const dnnl::memory::desc &desc);

/// The fastest kernels of this CPU for m rows of a type; null where oneDNN's
/// are as fast, or the only ones.
const BlockedKernels *chooseBlockedKernels(ElementType type, uint64_t m);

/// The whole product; its scratch memory lies at a 64-byte boundary.
void runBlocked(const BlockedKernels &kernels, const BlockedProduct &product,
                const ThreadTeam &team);

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_BLOCKED_H
