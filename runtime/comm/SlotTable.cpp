#include "comm/SlotTable.h"

#include "support/Fail.h"
#include "support/Futex.h"
#include "support/Spin.h"

using namespace tpcrt;

// The shared memory: the header, then for each slot its state and its members.
// Zero bytes are valid initial values of all of it.

struct SlotTable::Header {
  std::atomic<uint32_t> changes;
  std::atomic<uint32_t> sleepers;
  std::atomic<int64_t> running;
};

struct SlotTable::State {
  std::atomic<uint64_t> generation;
  // Chunks that nobody has taken, below 0 when somebody has tried; and those
  // that are not done. Both are 0 unless the slot is open.
  std::atomic<int64_t> untaken;
  std::atomic<uint64_t> chunksLeft;
  std::atomic<uint32_t> arrived;
};

struct SlotTable::Member {
  uint64_t src, dst; // from the device's base
  std::atomic<uint32_t> present;
  std::atomic<uint32_t> working; // threads that work on its behalf
};

static_assert(std::atomic<uint64_t>::is_always_lock_free);

SlotTable::Header &SlotTable::header() const {
  static_assert(sizeof(Header) <= 64);
  return *reinterpret_cast<Header *>(memory);
}

SlotTable::State &SlotTable::state(const Group &group) const {
  return *reinterpret_cast<State *>(memory + group.offset);
}

SlotTable::Member *SlotTable::members(const Group &group) const {
  return reinterpret_cast<Member *>(memory + group.offset + sizeof(State));
}

uint32_t SlotTable::add(CollectiveOp op) {
  constexpr size_t cacheLine = 64;
  Collective &collective = collectives.emplace_back();
  collective.op = std::move(op);
  collective.slotOf.resize(devices());
  collective.memberOf.resize(devices());
  for (uint64_t device = 0; device < devices(); ++device) {
    uint64_t member = memberIndex(collective.op.axes, mesh, device);
    collective.memberOf[device] = member;
    if (member != 0)
      continue;
    std::vector<uint64_t> group = groupOf(collective.op.axes, mesh, device);
    for (uint64_t other : group)
      collective.slotOf[other] = groups.size();
    size_t bytes = sizeof(State) + group.size() * sizeof(Member);
    uint64_t chunks = chunkCount(collective.op, group.size());
    groups.push_back({&collective.op, std::move(group), chunks, size});
    size += (bytes + cacheLine - 1) / cacheLine * cacheLine;
  }
  return collectives.size() - 1;
}

void SlotTable::reset() {
  for (const Group &group : groups) {
    state(group).arrived = 0;
    state(group).untaken = 0;
    state(group).chunksLeft = 0;
    for (size_t i = 0; i < group.devices.size(); ++i)
      members(group)[i].present = 0;
  }
}

/// Where all members' data lie in this process.
MemberBuffers &SlotTable::buffersOf(const Group &group) const {
  thread_local MemberBuffers buffers;
  buffers.src.clear();
  buffers.dst.clear();
  for (size_t i = 0; i < group.devices.size(); ++i) {
    const Member &member = members(group)[i];
    // Numbers: without a base they are addresses already.
    auto base = reinterpret_cast<uintptr_t>(bases[group.devices[i]]);
    buffers.src.push_back(
        reinterpret_cast<const std::byte *>(base + member.src));
    buffers.dst.push_back(reinterpret_cast<std::byte *>(base + member.dst));
  }
  return buffers;
}

SlotTable::Ticket SlotTable::arrive(uint32_t device, uint32_t collective,
                                    const void *src, void *dst, bool &opened) {
  uint32_t index = collectives[collective].slotOf[device];
  const Group &group = groups[index];
  State &slot = state(group);
  Ticket ticket{device, index, slot.generation.load()};
  Member &member = members(group)[collectives[collective].memberOf[device]];
  auto base = reinterpret_cast<uintptr_t>(bases[device]);
  member.src = reinterpret_cast<uintptr_t>(src) - base;
  member.dst = reinterpret_cast<uintptr_t>(dst) - base;
  member.present.store(1, std::memory_order_relaxed);
  opened = slot.arrived.fetch_add(1) + 1 == group.devices.size();
  if (opened) {
    slot.arrived = 0;
    for (size_t i = 0; i < group.devices.size(); ++i)
      members(group)[i].present.store(0, std::memory_order_relaxed);
    // In this order: who takes a chunk also counts it as done.
    slot.chunksLeft = group.chunks;
    slot.untaken = static_cast<int64_t>(group.chunks);
    if (group.chunks > 1)
      signalChange(); // sleepers may help
    work(group, device);
  }
  return ticket;
}

void SlotTable::work(const Group &group, uint32_t device) {
  State &slot = state(group);
  if (slot.untaken.load(std::memory_order_relaxed) <= 0)
    return;
  size_t self = std::find(group.devices.begin(), group.devices.end(), device) -
                group.devices.begin();
  std::atomic<uint32_t> &working = members(group)[self].working;
  working.fetch_add(1, std::memory_order_relaxed);
  while (true) {
    int64_t untaken = slot.untaken.fetch_sub(1);
    if (untaken <= 0)
      break;
    uint64_t chunk = group.chunks - static_cast<uint64_t>(untaken);
    uint64_t count = group.op->count;
    auto border = [&](uint64_t c) {
      return static_cast<uint64_t>((unsigned __int128)count * c / group.chunks);
    };
    runChunk(*group.op, buffersOf(group), border(chunk), border(chunk + 1));
    if (slot.chunksLeft.fetch_sub(1) == 1) {
      header().running += group.devices.size() - 1;
      slot.generation.fetch_add(1);
      signalChange();
    }
  }
  working.fetch_sub(1, std::memory_order_relaxed);
}

bool SlotTable::poll(const Ticket &ticket) {
  const Group &group = groups[ticket.slot];
  State &slot = state(group);
  auto done = [&] {
    return slot.generation.load(std::memory_order_acquire) != ticket.generation;
  };
  if (!done())
    work(group, ticket.device);
  return done();
}

uint64_t SlotTable::changes() const {
  return header().changes.load(std::memory_order_acquire);
}

void SlotTable::signalChange() {
  header().changes.fetch_add(1);
  // A thread that goes to sleep raises `sleepers` before it looks at `changes`
  // again; one of the two sees the other.
  if (header().sleepers.load() > 0)
    futexWakeAll(header().changes);
}

void SlotTable::waitForChange(uint64_t seen,
                              Communicator::Clock::time_point deadline) {
  if (spinUntil([&] { return changes() != seen; }))
    return;
  header().sleepers.fetch_add(1);
  while (header().changes.load() == static_cast<uint32_t>(seen) &&
         Communicator::Clock::now() < deadline)
    futexWait(header().changes, static_cast<uint32_t>(seen), deadline);
  header().sleepers.fetch_sub(1);
}

std::atomic<int64_t> &SlotTable::running() { return header().running; }

std::vector<uint64_t> SlotTable::missing(const Group &group) const {
  bool open = state(group).chunksLeft > 0;
  std::vector<uint64_t> result;
  for (size_t i = 0; i < group.devices.size(); ++i) {
    const Member &member = members(group)[i];
    if (open ? member.working > 0 : member.present == 0)
      result.push_back(group.devices[i]);
  }
  return result;
}

std::vector<const SlotTable::Group *> SlotTable::waiting() const {
  std::vector<const Group *> result;
  for (const Group &group : groups)
    if (state(group).arrived > 0)
      result.push_back(&group);
  return result;
}

std::string tpcrt::describe(const CollectiveOp &op) {
  return fmt::format("{} '{}'{}{}", collectiveName(op.kind), op.name,
                     op.location.empty() ? "" : " at ", op.location);
}
