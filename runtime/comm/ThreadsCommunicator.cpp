// The communicator of virtual devices that share one process.
//
// A slot is one group of one collective. Members leave their buffers in it; the
// last to arrive opens it, and from then on every thread that polls a ticket of
// the slot takes ranges of the elements until none is left. Who finishes the
// last range completes the slot by raising its generation:
//
//   member 0:  start -> arrived 1, Pending     poll ... poll (works) -> Done
//   member 1:       start -> arrived 2 = all: opens, works           -> Done
//
// A slot can be reused at once: a member arrives for the next generation only
// after it has seen this one complete.
//
// Deadlock: `running` counts the devices that neither wait nor have finished.
// When it reaches 0 while some have not finished, nobody is left who could open
// a slot, so all fail at once instead of at their deadline.
#include "comm/Chunk.h"
#include "support/Fail.h"
#include "support/Spin.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>

using namespace tpcrt;

namespace {

struct Slot {
  const CollectiveOp *op;
  std::vector<uint64_t> devices; // by member index
  MemberBuffers buffers;
  std::vector<std::atomic<bool>> present;
  uint64_t chunks;
  std::atomic<uint32_t> arrived{0};
  std::atomic<uint64_t> nextChunk; // of the open slot; >= chunks: none left
  std::atomic<uint64_t> chunksLeft{0};
  std::atomic<uint64_t> generation{0};

  Slot(const CollectiveOp &op, std::vector<uint64_t> group)
      : op(&op), devices(std::move(group)), present(devices.size()),
        chunks(chunkCount(op, devices.size())), nextChunk(chunks) {
    buffers.src.resize(devices.size());
    buffers.dst.resize(devices.size());
  }
};

class ThreadsCommunicator final : public Communicator {
public:
  explicit ThreadsCommunicator(Mesh mesh) : mesh(std::move(mesh)) {}

  Result<uint32_t> add(CollectiveOp op) override;
  void begin() override;
  Ticket start(uint32_t device, uint32_t collective, const void *src,
               void *dst) override;
  Status poll(const Ticket &ticket) override;
  void finish(uint32_t device) override;
  uint64_t changes() const override { return changeCount.load(); }
  void waitForChange(uint64_t seen, Clock::time_point deadline) override;
  void expire(const Ticket &ticket, std::chrono::milliseconds limit) override;
  void abort(Error error) override;
  bool failed() const override { return hasFailed.load(); }
  Error error() const override;

private:
  /// A collective: which slot and which member each device is.
  struct Collective {
    CollectiveOp op;
    std::vector<uint32_t> slotOf, memberOf; // by device
  };

  void work(Slot &slot);
  void stopRunning();
  void reportDeadlock();
  void signalChange();
  std::string describeWait(const Slot &slot) const;

  Mesh mesh;
  std::deque<Collective> collectives; // both keep their addresses
  std::deque<Slot> slots;
  std::atomic<int64_t> running{0};
  std::atomic<int64_t> finished{0};
  std::atomic<uint64_t> changeCount{0};
  std::atomic<uint32_t> sleepers{0};
  std::atomic<bool> hasFailed{false};
  mutable std::mutex mutex; // guards what follows, and sleeping
  std::condition_variable changed;
  Error firstError;
};

Result<uint32_t> ThreadsCommunicator::add(CollectiveOp op) {
  uint64_t devices = mesh.numDevices();
  Collective &collective = collectives.emplace_back();
  collective.op = std::move(op);
  collective.slotOf.resize(devices);
  collective.memberOf.resize(devices);
  for (uint64_t device = 0; device < devices; ++device) {
    uint64_t member = memberIndex(collective.op.axes, mesh, device);
    collective.memberOf[device] = member;
    if (member != 0)
      continue;
    std::vector<uint64_t> group = groupOf(collective.op.axes, mesh, device);
    for (uint64_t other : group)
      collective.slotOf[other] = slots.size();
    slots.emplace_back(collective.op, std::move(group));
  }
  return collectives.size() - 1;
}

void ThreadsCommunicator::begin() {
  if (hasFailed) // else every slot is complete
    for (Slot &slot : slots) {
      slot.arrived = 0;
      slot.nextChunk = slot.chunks;
      for (auto &present : slot.present)
        present = false;
    }
  running = mesh.numDevices();
  finished = 0;
  hasFailed = false;
}

Communicator::Ticket ThreadsCommunicator::start(uint32_t device,
                                                uint32_t collective,
                                                const void *src, void *dst) {
  uint32_t index = collectives[collective].slotOf[device];
  uint32_t member = collectives[collective].memberOf[device];
  Slot &slot = slots[index];
  Ticket ticket{device, index, slot.generation.load()};
  slot.buffers.src[member] = static_cast<const std::byte *>(src);
  slot.buffers.dst[member] = static_cast<std::byte *>(dst);
  slot.present[member].store(true, std::memory_order_relaxed);
  if (slot.arrived.fetch_add(1) + 1 == slot.devices.size()) {
    // The opener counts as running until the slot is complete, so that
    // `running` cannot drop to 0 while there is work to do.
    slot.arrived = 0;
    for (auto &present : slot.present)
      present.store(false, std::memory_order_relaxed);
    slot.chunksLeft = slot.chunks;
    slot.nextChunk = 0;
    if (slot.chunks > 1)
      signalChange(); // sleepers may help
    work(slot);
  } else {
    stopRunning();
  }
  return ticket;
}

void ThreadsCommunicator::work(Slot &slot) {
  while (slot.nextChunk.load(std::memory_order_relaxed) < slot.chunks) {
    uint64_t chunk = slot.nextChunk.fetch_add(1);
    if (chunk >= slot.chunks)
      return;
    uint64_t count = slot.op->count;
    auto border = [&](uint64_t c) {
      return static_cast<uint64_t>((unsigned __int128)count * c / slot.chunks);
    };
    runChunk(*slot.op, slot.buffers, border(chunk), border(chunk + 1));
    if (slot.chunksLeft.fetch_sub(1) == 1) {
      running += slot.devices.size() - 1;
      slot.generation.fetch_add(1);
      signalChange();
    }
  }
}

Communicator::Status ThreadsCommunicator::poll(const Ticket &ticket) {
  Slot &slot = slots[ticket.slot];
  if (slot.generation.load(std::memory_order_acquire) != ticket.generation)
    return Status::Done;
  if (hasFailed.load(std::memory_order_relaxed))
    return Status::Failed;
  work(slot);
  return slot.generation.load(std::memory_order_acquire) != ticket.generation
             ? Status::Done
             : Status::Pending;
}

void ThreadsCommunicator::finish(uint32_t) {
  finished += 1;
  stopRunning();
}

void ThreadsCommunicator::stopRunning() {
  if (running.fetch_sub(1) == 1 && finished != int64_t(mesh.numDevices()))
    reportDeadlock();
}

/// "all_reduce 'mlp.down' at model.mlir:7 waits for device 3"
std::string ThreadsCommunicator::describeWait(const Slot &slot) const {
  std::vector<uint64_t> missing;
  for (size_t i = 0; i < slot.devices.size(); ++i)
    if (!slot.present[i])
      missing.push_back(slot.devices[i]);
  const CollectiveOp &op = *slot.op;
  return fmt::format("{} '{}'{}{} waits for device{} {}",
                     collectiveName(op.kind), op.name,
                     op.location.empty() ? "" : " at ", op.location,
                     missing.size() == 1 ? "" : "s", fmt::join(missing, ", "));
}

void ThreadsCommunicator::reportDeadlock() {
  // No device runs, so the slots stand still.
  std::vector<std::string> waits;
  for (const Slot &slot : slots)
    if (slot.arrived > 0)
      waits.push_back(describeWait(slot));
  abort({fmt::format("deadlock: {}", fmt::join(waits, "; "))});
}

void ThreadsCommunicator::expire(const Ticket &ticket,
                                 std::chrono::milliseconds limit) {
  abort({fmt::format("no progress for {} ms: device {}: {}", limit.count(),
                     ticket.device, describeWait(slots[ticket.slot]))});
}

void ThreadsCommunicator::abort(Error error) {
  {
    std::lock_guard lock(mutex);
    if (hasFailed)
      return;
    firstError = std::move(error);
    hasFailed = true;
  }
  signalChange();
}

Error ThreadsCommunicator::error() const {
  std::lock_guard lock(mutex);
  return firstError;
}

void ThreadsCommunicator::signalChange() {
  changeCount.fetch_add(1);
  // A thread that goes to sleep raises `sleepers` before it looks at
  // changeCount again; one of the two sees the other.
  if (sleepers.load() > 0) {
    std::lock_guard lock(mutex);
    changed.notify_all();
  }
}

void ThreadsCommunicator::waitForChange(uint64_t seen,
                                        Clock::time_point deadline) {
  if (spinUntil(
          [&] { return changeCount.load(std::memory_order_acquire) != seen; }))
    return;
  std::unique_lock lock(mutex);
  sleepers.fetch_add(1);
  changed.wait_until(lock, deadline,
                     [&] { return changeCount.load() != seen; });
  sleepers.fetch_sub(1);
}

} // namespace

std::unique_ptr<Communicator> tpcrt::createThreadsCommunicator(Mesh mesh) {
  return std::make_unique<ThreadsCommunicator>(std::move(mesh));
}
