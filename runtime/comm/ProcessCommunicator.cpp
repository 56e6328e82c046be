// The communicator of virtual devices in several processes.
//
// Groups whose devices are all on one host meet in slots that the host's
// processes share (SlotTable), and work on each other's memory; other groups
// use the network (NetworkLane). What operations read and write should lie in
// memory that allocate gave; for anything else each device has room to stage
// one operation.
//
//   a process's shared memory:   slots | blocks of allocate | staging
//
// The slots in use are those of the host's first process. A failure is the
// group's failure, and final.
#include "comm/DeviceDivision.h"
#include "comm/NetworkLane.h"
#include "comm/SharedRegion.h"
#include "comm/SlotTable.h"

#include <cstring>
#include <map>

using namespace tpcrt;

namespace {

constexpr uint64_t pageSize = 4096;

uint64_t toPages(uint64_t bytes) {
  return (bytes + pageSize - 1) / pageSize * pageSize;
}

class ProcessCommunicator final : public Communicator {
public:
  ProcessCommunicator(Mesh mesh, std::shared_ptr<ProcessGroup> group,
                      DeviceDivision division, Transport transport)
      : group(std::move(group)), division(division), transport(transport),
        slots(std::move(mesh)), states(division.perProcess) {}
  ~ProcessCommunicator() override;

  uint32_t add(CollectiveOp op) override { return slots.add(std::move(op)); }
  Result<std::vector<Buffer>> allocate(uint64_t count, uint64_t bytes,
                                       std::string_view what) override;
  Result<void> open() override;
  void begin() override {}
  Ticket start(uint32_t device, uint32_t collective, const void *src,
               void *dst) override;
  Status poll(const Ticket &ticket) override;
  void finish(uint32_t) override {}
  uint64_t changes() const override { return slots.changes(); }
  void waitForChange(uint64_t seen, Clock::time_point deadline) override {
    slots.waitForChange(seen, deadline);
  }
  void expire(const Ticket &ticket, std::chrono::milliseconds limit) override;
  void abort(Error error) override { group->abort(error.message); }
  bool failed() const override { return hasFailed.load(); }
  Error error() const override;

private:
  /// What a local device is doing.
  struct DeviceState {
    std::byte *staging = nullptr;
    // The result of the operation under way that is to be copied when it is
    // done, and where to.
    const std::byte *stagedDst = nullptr;
    void *userDst = nullptr;
    uint64_t stagedBytes = 0;
  };

  Result<void> createRegion(uint64_t blockBytes);
  Result<void> mapNeighbours();
  Result<void> openLanes();
  bool onOneHost(const std::vector<uint64_t> &devices) const;
  bool isShared(const void *address) const;
  std::vector<uint64_t> missing(const LaneOp &op) const;
  uint64_t stagingBytes() const;
  const std::string &hostOf(uint64_t device) const {
    return hosts[division.rankOf(device)];
  }

  std::shared_ptr<ProcessGroup> group;
  DeviceDivision division;
  Transport transport;
  SlotTable slots;
  std::vector<DeviceState> states; // by local device
  std::vector<std::string> hosts;  // by rank: who can share memory
  SharedRegion own;
  uint64_t regionBytes = 0; // the same in every process
  std::vector<SharedRegion> neighbours;
  std::unique_ptr<Network> network;
  std::map<uint32_t, std::unique_ptr<LaneOp>> laneOps; // by slot
  std::map<uint32_t, NetworkLane *> laneOf;            // by slot
  std::vector<std::unique_ptr<NetworkLane>> lanes;
  std::atomic<bool> hasFailed{false};
  std::optional<uint64_t> listener;
};

ProcessCommunicator::~ProcessCommunicator() {
  if (listener)
    group->unlisten(*listener);
  if (network)
    network->abort();
}

uint64_t ProcessCommunicator::stagingBytes() const {
  uint64_t most = 0;
  for (uint32_t i = 0; i < slots.numCollectives(); ++i) {
    const CollectiveOp &op = slots.op(i);
    uint64_t members = groupSize(op.axes);
    uint64_t bytes = op.count * byteSize(op.type);
    most = std::max(most, toPages(bytes * srcMultiple(op.kind, members)) +
                              toPages(bytes * dstMultiple(op.kind, members)));
  }
  return most;
}

/// Pages that nobody touches take no memory.
Result<void> ProcessCommunicator::createRegion(uint64_t blockBytes) {
  uint64_t staging = stagingBytes();
  uint64_t slotBytes = toPages(slots.bytes());
  regionBytes = slotBytes + blockBytes + staging * states.size();
  TPCRT_ASSIGN(own, SharedRegion::create(regionBytes, "the arena"));
  for (size_t i = 0; i < states.size(); ++i)
    states[i].staging = own.data() + slotBytes + blockBytes + i * staging;
  return {};
}

Result<std::vector<Buffer>> ProcessCommunicator::allocate(uint64_t count,
                                                          uint64_t bytes,
                                                          std::string_view) {
  uint64_t stride = toPages(bytes);
  TPCRT_TRY(createRegion(count * stride));
  std::vector<Buffer> blocks;
  for (uint64_t i = 0; i < count; ++i)
    blocks.push_back(bytes
                         ? own.part(toPages(slots.bytes()) + i * stride, bytes)
                         : Buffer());
  return blocks;
}

Result<void> ProcessCommunicator::open() {
  if (!own.data())
    TPCRT_TRY(createRegion(0));
  for (const ProcessInfo &process : group->processes())
    hosts.push_back(transport == Transport::Network
                        ? fmt::format("rank {}", process.rank)
                        : process.hostKey);
  TPCRT_TRY(mapNeighbours());
  TPCRT_TRY(openLanes());
  listener = group->listen([this](const PeerFailure &) {
    hasFailed = true;
    if (network)
      network->abort();
    slots.signalChange();
  });
  // Nobody starts an operation before everyone is there.
  return group->barrier("connecting the devices");
}

Result<void> ProcessCommunicator::mapNeighbours() {
  // Sizes first: they differ if the processes run different programs.
  TPCRT_TRY(group->agree("memory for collectives",
                         fmt::format("{} bytes", regionBytes)));
  TPCRT_ASSIGN(std::vector<int> files,
               group->exchangeFiles("memory for collectives", own.file()));
  Result<void> mapped;
  std::byte *first = nullptr; // of this host's first process
  for (uint32_t rank = 0; rank < group->size(); ++rank) {
    std::byte *base = rank == group->rank() ? own.data() : nullptr;
    if (files[rank] >= 0 && hosts[rank] == hosts[group->rank()]) {
      auto region =
          SharedRegion::open(std::exchange(files[rank], -1), regionBytes,
                             fmt::format("rank {}", rank));
      if (!region)
        return tl::unexpected(region.error());
      base = region->data();
      neighbours.push_back(std::move(*region));
    }
    if (!base)
      continue;
    if (!first)
      first = base;
    for (uint64_t i = 0; i < division.perProcess; ++i)
      slots.setBase(rank * division.perProcess + i, base);
  }
  for (int file : files)
    if (file >= 0)
      ::close(file);
  slots.place(first);
  return {};
}

bool ProcessCommunicator::onOneHost(
    const std::vector<uint64_t> &devices) const {
  return std::ranges::all_of(devices, [&](uint64_t device) {
    return hostOf(device) == hostOf(devices[0]);
  });
}

Result<void> ProcessCommunicator::openLanes() {
  // Every process goes through all groups, so that lanes are numbered alike.
  std::map<std::vector<uint64_t>, uint32_t> numbers;
  std::map<std::vector<uint64_t>, NetworkLane *> byDevices;
  for (uint32_t slot = 0; slot < slots.numSlots(); ++slot) {
    const SlotTable::Group &members = slots.group(slot);
    if (onOneHost(members.devices))
      continue;
    std::vector<uint64_t> set = members.devices;
    std::sort(set.begin(), set.end());
    uint32_t number = numbers.try_emplace(set, numbers.size()).first->second;
    if (!network) {
      TPCRT_ASSIGN(network, Network::connect(group));
    }
    auto op = std::make_unique<LaneOp>(*members.op, members.devices, division);
    if (op->local.empty())
      continue;
    NetworkLane *&lane = byDevices[set];
    if (!lane)
      lane = lanes
                 .emplace_back(std::make_unique<NetworkLane>(
                     number, group->rank(), *network,
                     [this] { slots.signalChange(); },
                     [this](Error error) { abort(std::move(error)); }))
                 .get();
    laneOps[slot] = std::move(op);
    laneOf[slot] = lane;
  }
  return {};
}

bool ProcessCommunicator::isShared(const void *address) const {
  auto *byte = static_cast<const std::byte *>(address);
  return byte >= own.data() && byte < own.data() + regionBytes;
}

Communicator::Ticket ProcessCommunicator::start(uint32_t device,
                                                uint32_t collective,
                                                const void *src, void *dst) {
  const CollectiveOp &op = slots.op(collective);
  DeviceState &state = states[device - division.first()];
  uint32_t slot = slots.slot(collective, device);
  if (auto found = laneOps.find(slot); found != laneOps.end()) {
    LaneOp &laneOp = *found->second;
    Ticket ticket{device, slot, laneOp.generation.load()};
    uint32_t member = slots.member(collective, device);
    laneOp.src[member] = static_cast<const std::byte *>(src);
    laneOp.dst[member] = static_cast<std::byte *>(dst);
    laneOp.present[member] = true;
    laneOf[slot]->arrive(laneOp);
    return ticket;
  }
  uint64_t members = slots.group(slot).devices.size();
  uint64_t bytes = op.count * byteSize(op.type);
  uint64_t srcBytes = bytes * srcMultiple(op.kind, members);
  uint64_t dstBytes = bytes * dstMultiple(op.kind, members);
  bool inPlace = src == dst;
  if (!isShared(src) && srcBytes > 0) {
    std::memcpy(state.staging, src, srcBytes);
    src = state.staging;
  }
  if (!isShared(dst)) {
    state.userDst =
        std::exchange(dst, state.staging + (inPlace ? 0 : toPages(srcBytes)));
    state.stagedDst = static_cast<std::byte *>(dst);
    state.stagedBytes = dstBytes;
  }
  bool opened = false;
  return slots.arrive(device, collective, src, dst, opened);
}

Communicator::Status ProcessCommunicator::poll(const Ticket &ticket) {
  auto found = laneOps.find(ticket.slot);
  bool done = found != laneOps.end()
                  ? found->second->generation.load() != ticket.generation
                  : slots.poll(ticket);
  if (!done)
    return hasFailed ? Status::Failed : Status::Pending;
  DeviceState &state = states[ticket.device - division.first()];
  if (state.stagedBytes > 0)
    std::memcpy(state.userDst, state.stagedDst,
                std::exchange(state.stagedBytes, 0));
  return Status::Done;
}

/// The devices for which an operation over the network waits, as far as this
/// process knows.
std::vector<uint64_t> ProcessCommunicator::missing(const LaneOp &op) const {
  std::set<uint32_t> ranks = network->waitingFor();
  std::vector<uint64_t> here, received, elsewhere;
  for (size_t i = 0; i < op.devices.size(); ++i) {
    if (op.ranks[i] != division.rank)
      (ranks.contains(op.ranks[i]) ? received : elsewhere)
          .push_back(op.devices[i]);
    else if (!op.present[i])
      here.push_back(op.devices[i]);
  }
  return !here.empty() ? here : !received.empty() ? received : elsewhere;
}

void ProcessCommunicator::expire(const Ticket &ticket,
                                 std::chrono::milliseconds limit) {
  const SlotTable::Group &members = slots.group(ticket.slot);
  auto lane = laneOps.find(ticket.slot);
  std::vector<std::string> names;
  for (uint64_t device :
       lane != laneOps.end() ? missing(*lane->second) : slots.missing(members))
    names.push_back(
        fmt::format("{} (rank {})", device, division.rankOf(device)));
  abort(
      {fmt::format("no progress for {} ms: device {}: {} waits for device{} {}",
                   limit.count(), ticket.device, describe(*members.op),
                   names.size() == 1 ? "" : "s", fmt::join(names, ", "))});
}

Error ProcessCommunicator::error() const {
  auto failure = group->failure();
  return {failure ? failure->message : ""};
}

} // namespace

Result<std::unique_ptr<Communicator>>
tpcrt::createProcessCommunicator(Mesh mesh, std::shared_ptr<ProcessGroup> group,
                                 Transport transport) {
  TPCRT_ASSIGN(auto division, DeviceDivision::of(mesh, group.get()));
  return std::make_unique<ProcessCommunicator>(
      std::move(mesh), std::move(group), division, transport);
}
