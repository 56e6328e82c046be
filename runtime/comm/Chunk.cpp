#include "comm/Chunk.h"

#include "comm/Reduce.h"

#include <cstring>

using namespace tpcrt;

namespace {

/// One operation on elements [begin, end); the chunks of members i and j are
/// addressed as in the schema's description of CollectiveStep.
struct ChunkRun {
  const CollectiveOp &op;
  const MemberBuffers &buffers;
  uint64_t begin;
  uint64_t end;
  size_t members = buffers.src.size();
  size_t elementSize = byteSize(op.type);

  void copy(size_t to, uint64_t toChunk, size_t from,
            uint64_t fromChunk) const {
    std::memcpy(buffers.dst[to] + (toChunk * op.count + begin) * elementSize,
                buffers.src[from] +
                    (fromChunk * op.count + begin) * elementSize,
                (end - begin) * elementSize);
  }

  void allReduce() const {
    std::byte *first = buffers.dst[0];
    for (uint64_t e = begin; e < end; e += reduceBlockSize) {
      size_t size = std::min<uint64_t>(reduceBlockSize, end - e);
      // Reduce once into member 0; in place that overwrites only elements
      // that have been read from every member.
      reduceBlock(op.type, op.reduction, first + e * elementSize, buffers.src,
                  e, size);
      for (size_t i = 1; i < members; ++i)
        std::memcpy(buffers.dst[i] + e * elementSize, first + e * elementSize,
                    size * elementSize);
    }
  }

  void reduceScatter() const {
    for (size_t i = 0; i < members; ++i)
      for (uint64_t e = begin; e < end; e += reduceBlockSize)
        reduceBlock(op.type, op.reduction, buffers.dst[i] + e * elementSize,
                    buffers.src, i * op.count + e,
                    std::min<uint64_t>(reduceBlockSize, end - e));
  }

  void allGather() const {
    for (size_t to = 0; to < members; ++to)
      for (size_t from = 0; from < members; ++from)
        copy(to, from, from, 0);
  }

  void allToAll() const {
    for (size_t to = 0; to < members; ++to)
      for (size_t from = 0; from < members; ++from)
        copy(to, from, from, to);
  }

  void permute() const {
    for (size_t to = 0; to < members; ++to)
      copy(to, 0, op.sources[to], 0);
  }
};

} // namespace

void tpcrt::runChunk(const CollectiveOp &op, const MemberBuffers &buffers,
                     uint64_t begin, uint64_t end) {
  if (begin == end)
    return;
  ChunkRun run{op, buffers, begin, end};
  switch (op.kind) {
  case CollectiveKind::AllReduce:
    return run.allReduce();
  case CollectiveKind::AllGather:
    return run.allGather();
  case CollectiveKind::ReduceScatter:
    return run.reduceScatter();
  case CollectiveKind::AllToAll:
    return run.allToAll();
  case CollectiveKind::Permute:
    return run.permute();
  }
}

uint64_t tpcrt::chunkCount(const CollectiveOp &op, uint64_t members) {
  constexpr uint64_t chunkBytes = 128 << 10, maxChunks = 64;
  uint64_t chunks =
      std::max(srcMultiple(op.kind, members), dstMultiple(op.kind, members));
  uint64_t bytes = op.count * byteSize(op.type) * chunks * members;
  return std::clamp<uint64_t>(std::min(bytes / chunkBytes, op.count), 1,
                              maxChunks);
}
