#include "comm/cuda/Nccl.h"

#include "comm/DeviceDivision.h"

using namespace tpcrt;

Result<NcclLibrary> NcclLibrary::load() {
  TPCRT_ASSIGN(SharedLibrary library,
               SharedLibrary::open({"libnccl.so.2"},
                                   "install NCCL 2.18 or newer and have its "
                                   "folder in LD_LIBRARY_PATH"));
  NcclLibrary table;
  TPCRT_NCCL_FUNCTIONS(TPCRT_FIND_FUNCTION)
  TPCRT_NCCL_WINDOW_FUNCTIONS(TPCRT_FIND_OPTIONAL_FUNCTION)
  return table;
}

bool NcclLibrary::hasWindows() const {
#define TPCRT_IS_THERE(function) this->function &&
  return TPCRT_NCCL_WINDOW_FUNCTIONS(TPCRT_IS_THERE) true;
#undef TPCRT_IS_THERE
}

Result<void> NcclLibrary::check(ncclResult_t result, const char *function,
                                ncclComm_t comm) const {
  if (result == ncclSuccess || result == ncclInProgress)
    return {};
  const char *detail = ncclGetLastError(comm);
  return fail("{}: {}{}{}", function, ncclGetErrorString(result),
              detail && *detail ? ": " : "", detail ? detail : "");
}

namespace {

ncclDataType_t ncclType(ElementType type) {
  switch (type) {
  case ElementType::F32:
    return ncclFloat32;
  case ElementType::F64:
    return ncclFloat64;
  case ElementType::BF16:
    return ncclBfloat16;
  case ElementType::F16:
    return ncclFloat16;
  case ElementType::I32:
    return ncclInt32;
  case ElementType::I64:
    return ncclInt64;
  case ElementType::Bool:
    return ncclUint8;
  }
  return ncclUint8;
}

/// On bool, sum and max are "or", min is "and": of bytes that are 0 or 1, the
/// largest and the least.
ncclRedOp_t ncclReduction(const CollectiveOp &op) {
  if (op.reduction == Reduction::Min)
    return ncclMin;
  return op.reduction == Reduction::Max || op.type == ElementType::Bool
             ? ncclMax
             : ncclSum;
}

} // namespace

Result<void> NcclLibrary::enqueue(const CollectiveOp &op, const Member &member,
                                  StreamCommunicator::Buffers buffers) const {
  auto *src = reinterpret_cast<void *>(buffers.src);
  auto *dst = reinterpret_cast<void *>(buffers.dst);
  switch (op.kind) {
  case CollectiveKind::AllReduce:
    return TPCRT_NCCL(*this, ncclAllReduce, src, dst, op.count,
                      ncclType(op.type), ncclReduction(op), member.comm,
                      member.stream);
  case CollectiveKind::AllGather:
    return TPCRT_NCCL(*this, ncclAllGather, src, dst, op.count,
                      ncclType(op.type), member.comm, member.stream);
  case CollectiveKind::ReduceScatter:
    return TPCRT_NCCL(*this, ncclReduceScatter, src, dst, op.count,
                      ncclType(op.type), ncclReduction(op), member.comm,
                      member.stream);
  case CollectiveKind::AllToAll:
  case CollectiveKind::Permute:
    return enqueueMessages(op, member, buffers);
  }
  return fail("unknown kind of collective");
}

/// Chunks to and from other members.
Result<void>
NcclLibrary::enqueueMessages(const CollectiveOp &op, const Member &member,
                             StreamCommunicator::Buffers buffers) const {
  uint64_t members = groupSize(op.axes);
  uint64_t bytes = op.count * byteSize(op.type);
  bool all = op.kind == CollectiveKind::AllToAll;
  for (uint64_t peer = 0; peer < members; ++peer) {
    uint64_t place = all ? peer * bytes : 0;
    if (all || op.sources[peer] == member.index)
      TPCRT_TRY(TPCRT_NCCL(
          *this, ncclSend, reinterpret_cast<const void *>(buffers.src + place),
          op.count, ncclType(op.type), int(peer), member.comm, member.stream));
    if (all || op.sources[member.index] == peer)
      TPCRT_TRY(TPCRT_NCCL(
          *this, ncclRecv, reinterpret_cast<void *>(buffers.dst + place),
          op.count, ncclType(op.type), int(peer), member.comm, member.stream));
  }
  return {};
}
