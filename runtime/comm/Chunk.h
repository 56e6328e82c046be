// The data movement of a collective between members that share memory. Any
// range of [0, count) can be done on its own, so several threads can share one
// operation.
#ifndef TPCRT_COMM_CHUNK_H
#define TPCRT_COMM_CHUNK_H

#include "comm/Communicator.h"

namespace tpcrt {

/// The members' buffers, by member index.
struct MemberBuffers {
  std::vector<const std::byte *> src;
  std::vector<std::byte *> dst;
};

/// Moves elements [begin, end) of [0, op.count): of every member, and where a
/// buffer holds several chunks of `count` elements, of every chunk.
void runChunk(const CollectiveOp &op, const MemberBuffers &buffers,
              uint64_t begin, uint64_t end);

/// Into how many ranges of about equal work to cut an operation. Small ones
/// stay whole.
uint64_t chunkCount(const CollectiveOp &op, uint64_t members);

} // namespace tpcrt

#endif // TPCRT_COMM_CHUNK_H
