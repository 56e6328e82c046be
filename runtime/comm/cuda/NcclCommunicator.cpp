// The communicator of devices on GPUs of their own, in one process or several.
//
// One communicator of NCCL spans the mesh; every list of axes that collectives
// use gets another, split from it, whose ranks are the members of the groups.
// Small all-reduces of groups whose GPUs read each other's memory do without.
//
// All are non-blocking: a call may return before it is done, and whoever needs
// the result polls, with a deadline.
#include "comm/DeviceDivision.h"
#include "comm/cuda/Nccl.h"
#include "comm/cuda/PeerReduce.h"
#include "comm/cuda/StreamCommunicator.h"

#include <algorithm>
#include <deque>
#include <thread>

using namespace tpcrt;

Result<NcclLibrary> NcclLibrary::load() {
  TPCRT_ASSIGN(SharedLibrary library,
               SharedLibrary::open({"libnccl.so.2"},
                                   "install NCCL 2.18 or newer and have its "
                                   "folder in LD_LIBRARY_PATH"));
  NcclLibrary table;
  TPCRT_NCCL_FUNCTIONS(TPCRT_FIND_FUNCTION)
  return table;
}

Result<void> NcclLibrary::check(ncclResult_t result, const char *function,
                                ncclComm_t comm) const {
  if (result == ncclSuccess || result == ncclInProgress)
    return {};
  const char *detail = ncclGetLastError(comm);
  return fail("{}: {}{}{}", function, ncclGetErrorString(result),
              detail && *detail ? ": " : "", detail ? detail : "");
}

#define TPCRT_NCCL(library, function, ...)                                     \
  (library).check((library).function(__VA_ARGS__), #function)

namespace {

using Clock = std::chrono::steady_clock;

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

class NcclCommunicator final : public StreamCommunicator {
public:
  NcclCommunicator(const NcclLibrary &nccl, const Mesh &mesh,
                   std::vector<StreamDevice> devices,
                   std::shared_ptr<ProcessGroup> processes,
                   std::chrono::milliseconds deadline, bool peerMemory)
      : nccl(nccl), mesh(mesh), devices(std::move(devices)),
        processes(std::move(processes)), deadline(deadline),
        peerMemory(peerMemory) {}
  ~NcclCommunicator() override;

  Result<void> connect(const ncclUniqueId &id);
  Result<uint32_t> add(const CollectiveOp &op,
                       const std::vector<Buffers> &buffers) override;
  void removeLast() override { collectives.pop_back(); }
  Result<void> enqueue(uint32_t collective) override;
  Result<void> status() override;
  void abort() override;
  std::string implementation(uint32_t collective) const override;

private:
  /// Communicators over the groups of `axes`, by local device.
  struct Group {
    std::vector<AxisPart> axes;
    std::vector<ncclComm_t> comms;
    /// Made for the first collective that it takes; null with a reason where
    /// there is none.
    std::unique_ptr<PeerReduce> peers = {};
    std::string noPeers = {};
  };
  struct Collective {
    CollectiveOp op;
    std::vector<Buffers> buffers; // by local device
    Group *group;                 // null: every member is alone
    bool isForPeers;
  };

  Result<Group *> groupOver(const std::vector<AxisPart> &axes);
  /// Calls start(i) for every local device, as one group of calls, and waits
  /// until the communicators have accepted them.
  template <class Start>
  Result<void> grouped(const std::vector<ncclComm_t> &comms, Start start);
  Result<void> connectPeers(Group &group);
  Result<void> settle(const std::vector<ncclComm_t> &comms);
  Result<void> start(const Collective &collective, size_t device);
  Result<void> exchange(const Collective &collective, size_t device);
  Result<void> copy(const Collective &collective, size_t device);

  NcclLibrary nccl;
  Mesh mesh;
  std::vector<StreamDevice> devices;
  std::shared_ptr<ProcessGroup> processes; // null: this one has all devices
  std::chrono::milliseconds deadline;
  bool peerMemory;
  std::deque<Group> groups; // the first spans the mesh
  std::vector<Collective> collectives;
  bool aborted = false;
};

/// Where peers have gone already, the orderly end does not come: it has as long
/// as what follows an abort.
NcclCommunicator::~NcclCommunicator() {
  bool orderly = !aborted && status();
  deadline = std::min(deadline, std::chrono::milliseconds(500));
  for (auto group = groups.rbegin(); group != groups.rend() && orderly; ++group)
    orderly = bool(grouped(group->comms, [&](size_t i) {
      return TPCRT_NCCL(nccl, ncclCommFinalize, group->comms[i]);
    }));
  if (!orderly) {
    abort();
    return;
  }
  for (auto group = groups.rbegin(); group != groups.rend(); ++group)
    for (ncclComm_t comm : group->comms)
      nccl.ncclCommDestroy(comm);
}

void NcclCommunicator::abort() {
  if (std::exchange(aborted, true))
    return;
  for (Group &group : groups)
    if (group.peers)
      group.peers->abort();
  for (auto group = groups.rbegin(); group != groups.rend(); ++group)
    for (ncclComm_t comm : group->comms)
      if (comm)
        nccl.ncclCommAbort(comm);
}

Result<void> NcclCommunicator::status() {
  for (const Group &group : groups)
    for (ncclComm_t comm : group.comms) {
      ncclResult_t state = ncclSuccess;
      TPCRT_TRY(TPCRT_NCCL(nccl, ncclCommGetAsyncError, comm, &state));
      TPCRT_TRY(nccl.check(state, "a collective", comm));
    }
  return {};
}

Result<void> NcclCommunicator::settle(const std::vector<ncclComm_t> &comms) {
  auto end = Clock::now() + deadline;
  for (ncclComm_t comm : comms)
    while (true) {
      ncclResult_t state = ncclSuccess;
      TPCRT_TRY(TPCRT_NCCL(nccl, ncclCommGetAsyncError, comm, &state));
      TPCRT_TRY(nccl.check(state, "NCCL", comm));
      if (state == ncclSuccess)
        break;
      if (auto failure = processes ? processes->failure() : std::nullopt)
        return fail("{}", failure->message);
      if (Clock::now() > end)
        return fail("expected all processes to take part, found no answer for "
                    "{} s",
                    double(deadline.count()) / 1000);
      std::this_thread::yield();
    }
  return {};
}

template <class Start>
Result<void> NcclCommunicator::grouped(const std::vector<ncclComm_t> &comms,
                                       Start start) {
  TPCRT_TRY(TPCRT_NCCL(nccl, ncclGroupStart));
  Result<void> started;
  for (size_t i = 0; i < devices.size() && started; ++i) {
    auto scope = GpuScope::enter(*devices[i].gpu);
    started = scope ? start(i) : tl::unexpected(scope.error());
  }
  // A group that has begun must end.
  Result<void> ended = TPCRT_NCCL(nccl, ncclGroupEnd);
  TPCRT_TRY(std::move(started));
  TPCRT_TRY(std::move(ended));
  return settle(comms);
}

Result<void> NcclCommunicator::connect(const ncclUniqueId &id) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  Group &world = groups.emplace_back();
  world.comms.resize(devices.size());
  Result<void> connected = grouped(world.comms, [&](size_t i) {
    return TPCRT_NCCL(nccl, ncclCommInitRankConfig, &world.comms[i],
                      int(mesh.numDevices()), id, int(devices[i].number),
                      &config);
  });
  if (!connected)
    abort();
  return connected;
}

Result<NcclCommunicator::Group *>
NcclCommunicator::groupOver(const std::vector<AxisPart> &axes) {
  if (groupSize(axes) == 1)
    return nullptr;
  for (Group &group : groups)
    if (group.axes == axes)
      return &group;
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  config.splitShare = 1;
  Group &world = groups.front();
  Group split{axes, std::vector<ncclComm_t>(devices.size())};
  Result<void> result = grouped(world.comms, [&](size_t i) {
    uint64_t device = devices[i].number;
    return TPCRT_NCCL(nccl, ncclCommSplit, world.comms[i],
                      int(groupOf(axes, mesh, device)[0]),
                      int(memberIndex(axes, mesh, device)), &split.comms[i],
                      &config);
  });
  Group &added = groups.emplace_back(std::move(split));
  if (result)
    result = settle(added.comms);
  if (result)
    return &added;
  abort();
  return tl::unexpected(result.error());
}

Result<uint32_t> NcclCommunicator::add(const CollectiveOp &op,
                                       const std::vector<Buffers> &buffers) {
  if (aborted)
    return fail("the communicator was aborted");
  TPCRT_ASSIGN(Group * group, groupOver(op.axes));
  bool isForPeers = group && peerMemory && PeerReduce::takes(op);
  if (isForPeers && !group->peers && group->noPeers.empty())
    TPCRT_TRY(connectPeers(*group));
  collectives.push_back({op, buffers, group, isForPeers});
  return collectives.size() - 1;
}

Result<void> NcclCommunicator::connectPeers(Group &group) {
  TPCRT_ASSIGN(group.peers, PeerReduce::create(mesh, group.axes, devices,
                                               processes.get(), group.noPeers));
  return {};
}

std::string NcclCommunicator::implementation(uint32_t number) const {
  const Collective &collective = collectives[number];
  if (!collective.isForPeers)
    return "nccl";
  return collective.group->peers
             ? "peer memory"
             : fmt::format("nccl ({})", collective.group->noPeers);
}

Result<void> NcclCommunicator::enqueue(uint32_t number) {
  if (aborted)
    return fail("the communicator was aborted");
  const Collective &collective = collectives[number];
  if (collective.op.count == 0)
    return {};
  if (collective.isForPeers && collective.group->peers) {
    for (size_t i = 0; i < devices.size(); ++i)
      TPCRT_TRY(collective.group->peers->enqueue(collective.op, i,
                                                 collective.buffers[i]));
    return {};
  }
  if (collective.group)
    return grouped(collective.group->comms,
                   [&](size_t i) { return start(collective, i); });
  for (size_t i = 0; i < devices.size(); ++i)
    TPCRT_TRY(copy(collective, i));
  return {};
}

/// The only member has the result.
Result<void> NcclCommunicator::copy(const Collective &collective,
                                    size_t device) {
  auto [src, dst] = collective.buffers[device];
  const StreamDevice &on = devices[device];
  if (src == dst)
    return {};
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*on.gpu));
  return TPCRT_CU(on.gpu->driver(), cuMemcpyDtoDAsync, dst, src,
                  collective.op.count * byteSize(collective.op.type),
                  on.stream.get());
}

Result<void> NcclCommunicator::start(const Collective &collective,
                                     size_t device) {
  const CollectiveOp &op = collective.op;
  auto *src = reinterpret_cast<void *>(collective.buffers[device].src);
  auto *dst = reinterpret_cast<void *>(collective.buffers[device].dst);
  ncclComm_t comm = collective.group->comms[device];
  CUstream stream = devices[device].stream.get();
  switch (op.kind) {
  case CollectiveKind::AllReduce:
    return TPCRT_NCCL(nccl, ncclAllReduce, src, dst, op.count,
                      ncclType(op.type), ncclReduction(op), comm, stream);
  case CollectiveKind::AllGather:
    return TPCRT_NCCL(nccl, ncclAllGather, src, dst, op.count,
                      ncclType(op.type), comm, stream);
  case CollectiveKind::ReduceScatter:
    return TPCRT_NCCL(nccl, ncclReduceScatter, src, dst, op.count,
                      ncclType(op.type), ncclReduction(op), comm, stream);
  case CollectiveKind::AllToAll:
  case CollectiveKind::Permute:
    return exchange(collective, device);
  }
  return fail("unknown kind of collective");
}

/// Chunks to and from other members.
Result<void> NcclCommunicator::exchange(const Collective &collective,
                                        size_t device) {
  const CollectiveOp &op = collective.op;
  auto [src, dst] = collective.buffers[device];
  ncclComm_t comm = collective.group->comms[device];
  CUstream stream = devices[device].stream.get();
  uint64_t members = groupSize(op.axes);
  uint64_t self = memberIndex(op.axes, mesh, devices[device].number);
  uint64_t bytes = op.count * byteSize(op.type);
  bool all = op.kind == CollectiveKind::AllToAll;
  for (uint64_t peer = 0; peer < members; ++peer) {
    if (all || op.sources[peer] == self)
      TPCRT_TRY(TPCRT_NCCL(
          nccl, ncclSend,
          reinterpret_cast<const void *>(src + (all ? peer * bytes : 0)),
          op.count, ncclType(op.type), int(peer), comm, stream));
    if (all || op.sources[self] == peer)
      TPCRT_TRY(
          TPCRT_NCCL(nccl, ncclRecv,
                     reinterpret_cast<void *>(dst + (all ? peer * bytes : 0)),
                     op.count, ncclType(op.type), int(peer), comm, stream));
  }
  return {};
}

} // namespace

Result<std::unique_ptr<StreamCommunicator>> tpcrt::createNcclCommunicator(
    const NcclLibrary &library, const Mesh &mesh,
    std::vector<StreamDevice> devices, std::shared_ptr<ProcessGroup> processes,
    std::chrono::milliseconds deadline, bool peerMemory) {
  ncclUniqueId id{};
  if (!processes || processes->rank() == 0)
    TPCRT_TRY(TPCRT_NCCL(library, ncclGetUniqueId, &id));
  if (processes) {
    TPCRT_ASSIGN(auto ids,
                 processes->exchange(
                     "NCCL id", std::string(id.internal, sizeof(id.internal))));
    std::copy(ids[0].begin(), ids[0].end(), id.internal);
  }
  auto communicator = std::make_unique<NcclCommunicator>(
      library, mesh, std::move(devices), std::move(processes), deadline,
      peerMemory);
  TPCRT_TRY(communicator->connect(id));
  return communicator;
}
