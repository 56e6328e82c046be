// The communicator of virtual devices that share one process.
//
// Deadlock: the slots' `running` counts the devices that neither wait nor have
// finished. When it reaches 0 while some have not finished, nobody is left who
// could open a slot, so all fail at once instead of at their deadline.
#include "comm/SlotTable.h"
#include "support/Fail.h"

#include <mutex>

using namespace tpcrt;

namespace {

class ThreadsCommunicator final : public Communicator {
public:
  explicit ThreadsCommunicator(Mesh mesh) : slots(std::move(mesh)) {}

  uint32_t add(CollectiveOp op) override { return slots.add(std::move(op)); }
  Result<void> open() override;
  void begin() override;
  Ticket start(uint32_t device, uint32_t collective, const void *src,
               void *dst) override;
  Status poll(const Ticket &ticket) override;
  void finish(uint32_t device) override;
  uint64_t changes() const override { return slots.changes(); }
  void waitForChange(uint64_t seen, Clock::time_point deadline) override {
    slots.waitForChange(seen, deadline);
  }
  void expire(const Ticket &ticket, std::chrono::milliseconds limit) override;
  void abort(Error error) override;
  bool failed() const override { return hasFailed.load(); }
  Error error() const override;

private:
  void stopRunning();
  void reportDeadlock();
  std::string describeWait(const SlotTable::Group &group) const;

  SlotTable slots;
  Buffer slotMemory;
  std::atomic<int64_t> finished{0};
  std::atomic<bool> hasFailed{false};
  mutable std::mutex mutex;
  Error firstError;
};

Result<void> ThreadsCommunicator::open() {
  TPCRT_ASSIGN(slotMemory, Buffer::allocate(slots.bytes(), "collectives"));
  slots.place(slotMemory.data());
  return {};
}

void ThreadsCommunicator::begin() {
  if (hasFailed) // else every slot is complete
    slots.reset();
  slots.running() = static_cast<int64_t>(slots.devices());
  finished = 0;
  hasFailed = false;
}

Communicator::Ticket ThreadsCommunicator::start(uint32_t device,
                                                uint32_t collective,
                                                const void *src, void *dst) {
  // Who opens a slot counts as running until it is complete, so that `running`
  // cannot drop to 0 while there is work to do.
  bool opened = false;
  Ticket ticket = slots.arrive(device, collective, src, dst, opened);
  if (!opened)
    stopRunning();
  return ticket;
}

Communicator::Status ThreadsCommunicator::poll(const Ticket &ticket) {
  if (slots.poll(ticket))
    return Status::Done;
  return hasFailed.load(std::memory_order_relaxed) ? Status::Failed
                                                   : Status::Pending;
}

void ThreadsCommunicator::finish(uint32_t) {
  finished += 1;
  stopRunning();
}

void ThreadsCommunicator::stopRunning() {
  if (slots.running().fetch_sub(1) == 1 &&
      finished != static_cast<int64_t>(slots.devices()))
    reportDeadlock();
}

/// "all_reduce 'mlp.down' at model.mlir:7 waits for device 3"
std::string
ThreadsCommunicator::describeWait(const SlotTable::Group &group) const {
  std::vector<uint64_t> missing = slots.missing(group);
  return fmt::format("{} waits for device{} {}", describe(*group.op),
                     missing.size() == 1 ? "" : "s", fmt::join(missing, ", "));
}

void ThreadsCommunicator::reportDeadlock() {
  // No device runs, so the slots stand still.
  std::vector<std::string> waits;
  for (const SlotTable::Group *group : slots.waiting())
    waits.push_back(describeWait(*group));
  abort({fmt::format("deadlock: {}", fmt::join(waits, "; "))});
}

void ThreadsCommunicator::expire(const Ticket &ticket,
                                 std::chrono::milliseconds limit) {
  abort({fmt::format("no progress for {} ms: device {}: {}", limit.count(),
                     ticket.device, describeWait(slots.group(ticket.slot)))});
}

void ThreadsCommunicator::abort(Error error) {
  {
    std::lock_guard lock(mutex);
    if (hasFailed)
      return;
    firstError = std::move(error);
    hasFailed = true;
  }
  slots.signalChange();
}

Error ThreadsCommunicator::error() const {
  std::lock_guard lock(mutex);
  return firstError;
}

} // namespace

std::unique_ptr<Communicator> tpcrt::createThreadsCommunicator(Mesh mesh) {
  return std::make_unique<ThreadsCommunicator>(std::move(mesh));
}
