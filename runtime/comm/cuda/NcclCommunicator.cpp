// The communicator of devices on GPUs of their own, in one process or several.
//
// One communicator of NCCL spans the mesh; every list of axes that collectives
// use gets another, split from it, whose ranks are the members of the groups.
// Small all-reduces of groups whose GPUs read each other's memory do without.
// Memory that collectives use is registered with each of them.
//
// All are non-blocking: a call may return before it is done, and whoever needs
// the result polls, with a deadline.
#include "comm/DeviceDivision.h"
#include "comm/cuda/PeerReduce.h"
#include "comm/cuda/StreamCommunicator.h"
#include "comm/cuda/SymmetricMemory.h"

#include <algorithm>
#include <deque>
#include <thread>

using namespace tpcrt;

namespace {

using Clock = std::chrono::steady_clock;

class NcclCommunicator final : public StreamCommunicator {
public:
  NcclCommunicator(const NcclLibrary &nccl, const Mesh &mesh,
                   std::vector<StreamDevice> devices,
                   std::shared_ptr<ProcessGroup> processes,
                   const NcclOptions &options)
      : nccl(nccl), mesh(mesh), devices(devices),
        processes(std::move(processes)), deadline(options.deadline),
        peerMemory(options.peerMemory),
        symmetric(nccl, devices, options.symmetricMemory), groups(1) {}
  ~NcclCommunicator() override;

  Result<void> connect();
  Result<Buffer> allocate(size_t device, uint64_t bytes,
                          std::string_view what) override {
    return symmetric.allocate(device, bytes, what);
  }
  std::string memory() const override { return symmetric.description(); }
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
    std::vector<ncclComm_t> comms = {};
    std::vector<SymmetricMemory::Windows> windows = {};
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
  Result<void> joinAll();
  Result<void> split(Group &group);
  Result<void> registerMemory(Group &group);
  Result<void> deregisterMemory(Group &group);
  void abortAll();
  /// Calls start(i) for every local device, as one group of calls, and waits
  /// until the communicators have accepted them.
  template <class Start>
  Result<void> grouped(const std::vector<ncclComm_t> &comms, Start start);
  Result<void> connectPeers(Group &group);
  Result<void> settle(const std::vector<ncclComm_t> &comms);
  Result<void> copy(const Collective &collective, size_t device);

  NcclLibrary nccl;
  Mesh mesh;
  std::vector<StreamDevice> devices;
  std::shared_ptr<ProcessGroup> processes; // null: this one has all devices
  std::chrono::milliseconds deadline;
  bool peerMemory;
  SymmetricMemory symmetric;
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
    orderly = deregisterMemory(*group) && grouped(group->comms, [&](size_t i) {
                return TPCRT_NCCL(nccl, ncclCommFinalize, group->comms[i]);
              });
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
  abortAll();
}

/// Their windows go with them.
void NcclCommunicator::abortAll() {
  for (auto group = groups.rbegin(); group != groups.rend(); ++group) {
    for (ncclComm_t comm : group->comms)
      if (comm)
        nccl.ncclCommAbort(comm);
    group->comms.clear();
    group->windows.clear();
  }
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

Result<void> NcclCommunicator::connect() {
  Result<void> connected = joinAll();
  if (!connected)
    abort();
  return connected;
}

/// Makes the communicator that spans the mesh.
Result<void> NcclCommunicator::joinAll() {
  ncclUniqueId id{};
  if (!processes || processes->rank() == 0)
    TPCRT_TRY(TPCRT_NCCL(nccl, ncclGetUniqueId, &id));
  if (processes) {
    TPCRT_ASSIGN(auto ids,
                 processes->exchange(
                     "NCCL id", std::string(id.internal, sizeof(id.internal))));
    std::copy(ids[0].begin(), ids[0].end(), id.internal);
  }
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  Group &world = groups.front();
  world.comms.resize(devices.size());
  return grouped(world.comms, [&](size_t i) {
    return TPCRT_NCCL(nccl, ncclCommInitRankConfig, &world.comms[i],
                      int(mesh.numDevices()), id, int(devices[i].number),
                      &config);
  });
}

Result<NcclCommunicator::Group *>
NcclCommunicator::groupOver(const std::vector<AxisPart> &axes) {
  if (groupSize(axes) == 1)
    return nullptr;
  for (Group &group : groups)
    if (group.axes == axes)
      return &group;
  if (groups.size() == 1)
    TPCRT_TRY(symmetric.agree(processes.get()));
  Group &group = groups.emplace_back(Group{axes});
  Result<void> made = split(group);
  if (made && symmetric.isUsed())
    made = registerMemory(group);
  if (made)
    return &group;
  abort();
  return tl::unexpected(made.error());
}

Result<void> NcclCommunicator::split(Group &group) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  config.splitShare = 1;
  Group &world = groups.front();
  group.comms.resize(devices.size());
  TPCRT_TRY(grouped(world.comms, [&](size_t i) {
    uint64_t device = devices[i].number;
    return TPCRT_NCCL(nccl, ncclCommSplit, world.comms[i],
                      int(groupOf(group.axes, mesh, device)[0]),
                      int(memberIndex(group.axes, mesh, device)),
                      &group.comms[i], &config);
  }));
  return settle(group.comms);
}

/// Where that fails for one member it is for none: communicators that have
/// failed are of no use, and others, without windows, take the place of all.
Result<void> NcclCommunicator::registerMemory(Group &group) {
  group.windows.resize(devices.size());
  Result<void> registered = grouped(group.comms, [&](size_t i) {
    return symmetric.registerOn(group.comms[i], i, group.windows[i]);
  });
  // Members that wait for one that has failed do so until the deadline.
  TPCRT_TRY(symmetric.conclude(registered, group.windows, processes.get(),
                               2 * deadline));
  if (symmetric.isUsed())
    return {};
  abortAll();
  TPCRT_TRY(joinAll());
  for (size_t i = 1; i < groups.size(); ++i)
    TPCRT_TRY(split(groups[i]));
  return {};
}

Result<void> NcclCommunicator::deregisterMemory(Group &group) {
  for (size_t i = 0; i < group.windows.size(); ++i) {
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*devices[i].gpu));
    TPCRT_TRY(symmetric.deregister(group.comms[i], group.windows[i]));
  }
  return settle(group.comms);
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
    return grouped(collective.group->comms, [&](size_t i) {
      uint64_t index = memberIndex(collective.op.axes, mesh, devices[i].number);
      return nccl.enqueue(
          collective.op,
          {collective.group->comms[i], devices[i].stream.get(), index},
          collective.buffers[i]);
    });
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

} // namespace

Result<std::unique_ptr<StreamCommunicator>>
tpcrt::createNcclCommunicator(const NcclLibrary &library, const Mesh &mesh,
                              std::vector<StreamDevice> devices,
                              std::shared_ptr<ProcessGroup> processes,
                              const NcclOptions &options) {
  auto communicator = std::make_unique<NcclCommunicator>(
      library, mesh, std::move(devices), std::move(processes), options);
  TPCRT_TRY(communicator->connect());
  return communicator;
}
