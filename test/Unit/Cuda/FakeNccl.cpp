#include "FakeNccl.h"

#include "FakeMachine.h"
#include "FakeNcclWindows.h"
#include "comm/Reduce.h"

#include <algorithm>
#include <cstring>

using namespace tpcrt;
using namespace tpcrt::fake;

namespace {

enum class Kind { AllReduce, AllGather, ReduceScatter, Exchange };

/// A chunk to or from a peer.
struct Message {
  uint32_t peer;
  uint64_t address, bytes;
};

/// What one rank brings to a collective.
struct Part {
  Kind kind = Kind::Exchange;
  uint64_t src = 0, dst = 0, count = 0;
  ncclDataType_t type{};
  ncclRedOp_t reduction{};
  std::vector<Message> sends, receives;
};

/// What the ranks of a communicator share.
struct Shared {
  std::vector<struct ncclComm *> ranks; // null until they arrive
  /// The collectives so far: which parts are there, and whether it is done.
  struct Round {
    std::vector<std::optional<Part>> parts;
    size_t arrived = 0;
    bool computed = false;
  };
  std::map<uint64_t, Round> rounds;
  /// The splits so far: what each rank asks for.
  struct Wish {
    int color, key;
    struct ncclComm *comm; // the new one
  };
  using Split = std::map<uint32_t, Wish>; // by rank
  std::map<uint64_t, Split> splits;
};

size_t sizeOf(ncclDataType_t type) {
  switch (type) {
  case ncclFloat64:
  case ncclInt64:
    return 8;
  case ncclFloat32:
  case ncclInt32:
    return 4;
  case ncclFloat16:
  case ncclBfloat16:
    return 2;
  default:
    return 1;
  }
}
ElementType typeOf(ncclDataType_t type) {
  switch (type) {
  case ncclFloat64:
    return ElementType::F64;
  case ncclInt64:
    return ElementType::I64;
  case ncclFloat32:
    return ElementType::F32;
  case ncclInt32:
    return ElementType::I32;
  case ncclFloat16:
    return ElementType::F16;
  case ncclBfloat16:
    return ElementType::BF16;
  default:
    return ElementType::Bool; // bytes, by max and min
  }
}

ncclResult_t asyncError = ncclSuccess;

} // namespace

struct ncclComm {
  std::shared_ptr<Shared> shared;
  uint32_t rank = 0;
  uint64_t splits = 0, begun = 0, ended = 0;
  bool connected = false;
  int polls = 0; // how often it says that it is not done
};

namespace {

/// Calls between ncclGroupStart and ncclGroupEnd.
struct Pending {
  ncclComm *comm;
  CUstream stream;
  Part part;
};
thread_local int groupDepth = 0;
thread_local std::vector<Pending> group; // of the outermost

/// A split is made once all ranks of the parent have asked.
void makeSplit(Shared &parent, const Shared::Split &split) {
  if (split.size() < parent.ranks.size())
    return;
  std::map<int, std::map<int, ncclComm *>> groups; // by color, by key
  for (auto &[rank, wish] : split)
    groups[wish.color][wish.key] = wish.comm;
  for (auto &[color, members] : groups) {
    auto shared = std::make_shared<Shared>();
    for (auto &[key, comm] : members) {
      comm->rank = shared->ranks.size();
      comm->shared = shared;
      shared->ranks.push_back(comm);
    }
  }
}

bool isConnected(ncclComm &comm) {
  // Once it is, it stays so, whoever leaves.
  comm.connected |=
      comm.shared && std::ranges::find(comm.shared->ranks, nullptr) ==
                         comm.shared->ranks.end();
  return comm.connected;
}

/// Where all members have the buffer in a window, it is at the same place.
void checkSymmetry(const Shared &shared, const Shared::Round &round,
                   uint64_t Part::*buffer) {
  auto placeOf = [&](size_t rank) {
    return findWindow(shared.ranks[rank], *round.parts[rank].*buffer, 1);
  };
  for (size_t rank = 1; rank < round.parts.size(); ++rank)
    if (placeOf(rank) != placeOf(0))
      machine().misused("members name different places in symmetric memory");
}

void compute(const Shared &shared, Shared::Round &round) {
  size_t ranks = round.parts.size();
  if (round.parts[0]->kind != Kind::Exchange) {
    checkSymmetry(shared, round, &Part::src);
    checkSymmetry(shared, round, &Part::dst);
  }
  auto check = [](uint64_t address, uint64_t bytes) {
    machine().checkRange("a collective's buffer", address, bytes);
    return reinterpret_cast<std::byte *>(address);
  };
  const Part &first = *round.parts[0];
  uint64_t bytes = first.count * sizeOf(first.type);
  for (auto &part : round.parts)
    if (part->kind != first.kind || part->count != first.count ||
        part->type != first.type || part->reduction != first.reduction)
      machine().misused("ranks call different collectives");
  std::vector<std::vector<std::byte>> srcs; // before anything is written
  bool scatters = first.kind == Kind::ReduceScatter;
  if (first.kind != Kind::Exchange)
    for (auto &part : round.parts) {
      uint64_t all = bytes * (scatters ? ranks : 1);
      std::byte *src = check(part->src, all);
      srcs.emplace_back(src, src + all);
    }
  for (size_t rank = 0; rank < ranks; ++rank) {
    Part &part = *round.parts[rank];
    if (first.kind == Kind::AllGather) {
      std::byte *dst = check(part.dst, bytes * ranks);
      for (size_t i = 0; i < ranks; ++i)
        std::ranges::copy(srcs[i], dst + i * bytes);
    } else if (first.kind != Kind::Exchange) {
      std::byte *dst = check(part.dst, bytes);
      std::vector<const std::byte *> from;
      for (auto &src : srcs)
        from.push_back(src.data() + (scatters ? rank * bytes : 0));
      Reduction reduction = first.reduction == ncclSum   ? Reduction::Sum
                            : first.reduction == ncclMax ? Reduction::Max
                                                         : Reduction::Min;
      for (uint64_t i = 0; i < first.count; i += reduceBlockSize)
        reduceBlock(typeOf(first.type), reduction, dst + i * sizeOf(first.type),
                    from, i,
                    std::min<uint64_t>(reduceBlockSize, first.count - i));
    } else {
      std::map<uint32_t, size_t> taken; // messages of each peer
      for (const Message &receive : part.receives) {
        size_t index = taken[receive.peer]++, seen = 0;
        const Message *found = nullptr;
        for (const Message &send : round.parts[receive.peer]->sends)
          if (send.peer == rank && seen++ == index)
            found = &send;
        if (!found || found->bytes != receive.bytes) {
          machine().misused("what is received was not sent");
          return;
        }
        std::memmove(check(receive.address, receive.bytes),
                     check(found->address, found->bytes), receive.bytes);
      }
    }
  }
}

/// A collective in a stream: it arrives, and ends once all have arrived.
void enqueueCollective(ncclComm *comm, CUstream stream, Part part) {
  // The library makes the right GPU current by itself.
  Machine &m = machine();
  Machine::contexts.push_back(&m.primary[m.streams.at(stream).gpu].first);
  machine().enqueue(stream, "NCCL arrival", [comm, part = std::move(part)] {
    Shared::Round &round = comm->shared->rounds[comm->begun++];
    round.parts.resize(comm->shared->ranks.size());
    round.parts[comm->rank] = part;
    ++round.arrived;
  });
  machine().enqueue(
      stream, "NCCL",
      [comm] {
        Shared::Round &round = comm->shared->rounds[comm->ended++];
        if (!std::exchange(round.computed, true))
          compute(*comm->shared, round);
      },
      [comm] {
        return asyncError == ncclSuccess &&
               comm->shared->rounds[comm->ended].arrived ==
                   comm->shared->ranks.size();
      });
  Machine::contexts.pop_back();
}

/// The calls of a group, each communicator's as one.
void endGroup() {
  std::vector<Pending> merged;
  for (Pending &call : std::exchange(group, {})) {
    auto same = std::ranges::find(merged, call.comm, &Pending::comm);
    if (same == merged.end() || call.part.kind != Kind::Exchange) {
      merged.push_back(std::move(call));
      continue;
    }
    auto append = [](auto &to, auto &from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    append(same->part.sends, call.part.sends);
    append(same->part.receives, call.part.receives);
  }
  for (Pending &call : merged)
    enqueueCollective(call.comm, call.stream, std::move(call.part));
}

ncclResult_t call(ncclComm *comm, CUstream stream, Part part) {
  if (!isConnected(*comm))
    machine().misused("a communicator is used before it is connected");
  group.push_back({comm, stream, std::move(part)});
  if (groupDepth == 0)
    endGroup();
  comm->polls = 1;
  return ncclSuccess;
}

ncclResult_t release(ncclComm *comm, bool inOrder) {
  dropWindows(comm, inOrder);
  --machine().objects["NCCL communicator"];
  if (comm->shared)
    std::ranges::replace(comm->shared->ranks, comm, nullptr);
  delete comm;
  return ncclSuccess;
}

} // namespace

#define LOCK() std::lock_guard lock(machine().mutex)
#define ENTER(function)                                                        \
  LOCK();                                                                      \
  if (machine().called(#function) != CUDA_SUCCESS)                             \
  return ncclSystemError

extern "C" {

ncclResult_t ncclGetVersion(int *version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
const char *ncclGetErrorString(ncclResult_t result) {
  return result == ncclRemoteError ? "remote process exited"
                                   : "out of memory or so";
}
const char *ncclGetLastError(ncclComm_t) { return ""; }

ncclResult_t ncclGetUniqueId(ncclUniqueId *id) {
  ENTER(ncclGetUniqueId);
  static uint64_t next = 0;
  ++next;
  std::memset(id, 0, sizeof(*id));
  std::memcpy(id->internal, &next, sizeof(next));
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t *comm, int ranks,
                                    ncclUniqueId id, int rank,
                                    ncclConfig_t *config) {
  ENTER(ncclCommInitRankConfig);
  if (config->blocking != 0)
    machine().misused("a communicator that blocks");
  static std::map<uint64_t, std::weak_ptr<Shared>> worlds;
  uint64_t key;
  std::memcpy(&key, id.internal, sizeof(key));
  std::shared_ptr<Shared> shared = worlds[key].lock();
  if (!shared) {
    shared = std::make_shared<Shared>();
    shared->ranks.resize(ranks);
    worlds[key] = shared;
  }
  *comm = new ncclComm{shared, uint32_t(rank), 0, 0, 0, false, 2};
  shared->ranks[rank] = *comm;
  ++machine().objects["NCCL communicator"];
  return ncclInProgress;
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int key,
                           ncclComm_t *newComm, ncclConfig_t *) {
  ENTER(ncclCommSplit);
  uint64_t number = comm->splits++;
  *newComm = new ncclComm{{}, 0, 0, 0, 0, false, 2};
  Shared::Split &split = comm->shared->splits[number];
  split[comm->rank] = {color, key, *newComm};
  makeSplit(*comm->shared, split);
  ++machine().objects["NCCL communicator"];
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t *state) {
  LOCK();
  *state = asyncError != ncclSuccess ? asyncError
           : comm->polls-- > 0 || !isConnected(*comm)
               ? ncclInProgress
               : settleWindows(comm, comm->shared->ranks);
  return ncclSuccess;
}
ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  ENTER(ncclCommFinalize);
  comm->polls = 1;
  return ncclInProgress;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  LOCK();
  machine().calls.push_back("ncclCommDestroy");
  return release(comm, /*inOrder=*/true);
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  LOCK();
  machine().calls.push_back("ncclCommAbort");
  machine().drop("NCCL"); // its kernels end
  return release(comm, /*inOrder=*/false);
}

ncclResult_t ncclGroupStart() {
  ENTER(ncclGroupStart);
  if (groupDepth++ == 0)
    group.clear();
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  bool outermost = --groupDepth == 0;
  ENTER(ncclGroupEnd);
  if (outermost)
    endGroup();
  return ncclInProgress;
}

ncclResult_t ncclAllReduce(const void *src, void *dst, size_t count,
                           ncclDataType_t type, ncclRedOp_t op, ncclComm_t comm,
                           cudaStream_t stream) {
  ENTER(ncclAllReduce);
  return call(comm, stream,
              {Kind::AllReduce,
               reinterpret_cast<uint64_t>(src),
               reinterpret_cast<uint64_t>(dst),
               count,
               type,
               op,
               {},
               {}});
}
ncclResult_t ncclAllGather(const void *src, void *dst, size_t count,
                           ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
  ENTER(ncclAllGather);
  return call(comm, stream,
              {Kind::AllGather,
               reinterpret_cast<uint64_t>(src),
               reinterpret_cast<uint64_t>(dst),
               count,
               type,
               ncclSum,
               {},
               {}});
}
ncclResult_t ncclReduceScatter(const void *src, void *dst, size_t count,
                               ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream) {
  ENTER(ncclReduceScatter);
  return call(comm, stream,
              {Kind::ReduceScatter,
               reinterpret_cast<uint64_t>(src),
               reinterpret_cast<uint64_t>(dst),
               count,
               type,
               op,
               {},
               {}});
}
ncclResult_t ncclSend(const void *src, size_t count, ncclDataType_t type,
                      int peer, ncclComm_t comm, cudaStream_t stream) {
  ENTER(ncclSend);
  Part part;
  part.sends = {
      {uint32_t(peer), reinterpret_cast<uint64_t>(src), count * sizeOf(type)}};
  return call(comm, stream, std::move(part));
}
ncclResult_t ncclRecv(void *dst, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  ENTER(ncclRecv);
  Part part;
  part.receives = {
      {uint32_t(peer), reinterpret_cast<uint64_t>(dst), count * sizeOf(type)}};
  return call(comm, stream, std::move(part));
}

} // extern "C"

NcclLibrary tpcrt::fake::nccl(bool windows) {
  NcclLibrary table;
#define FILL(function) table.function = &::function;
  TPCRT_NCCL_FUNCTIONS(FILL)
  if (windows) {
    TPCRT_NCCL_WINDOW_FUNCTIONS(FILL)
  }
#undef FILL
  return table;
}

void tpcrt::fake::resetNccl() {
  asyncError = ncclSuccess;
  resetWindows();
}

void tpcrt::fake::setNcclError(ncclResult_t error) { asyncError = error; }
