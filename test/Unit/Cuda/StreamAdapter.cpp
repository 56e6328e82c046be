#include "StreamAdapter.h"

#include "support/Fail.h"

#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>

using namespace tpcrt;

namespace {

class StreamAdapter final : public Communicator {
public:
  StreamAdapter(std::vector<StreamDevice> devices,
                std::unique_ptr<StreamCommunicator> streams)
      : devices(std::move(devices)), streams(std::move(streams)) {}

  uint32_t add(CollectiveOp op) override {
    operations.emplace_back().op = std::move(op);
    return operations.size() - 1;
  }

  Result<void> open() override {
    for (Operation &operation : operations)
      TPCRT_TRY(allocateBuffers(operation));
    for (Operation &operation : operations)
      TPCRT_TRY(addToStreams(operation));
    return {};
  }

  void begin() override {}

  Ticket start(uint32_t device, uint32_t collective, const void *src,
               void *dst) override {
    std::lock_guard lock(mutex);
    Operation &operation = operations[collective];
    Ticket ticket{device, collective, operation.generation};
    Device &mine = operation.devices[device - devices[0].number];
    mine.in = src;
    mine.out = dst;
    if (++operation.arrived < devices.size())
      return ticket;
    if (auto result = run(operation); !result && !failure)
      failure = result.error();
    operation.arrived = 0;
    ++operation.generation;
    ++changeCount;
    changed.notify_all();
    return ticket;
  }

  Status poll(const Ticket &ticket) override {
    std::lock_guard lock(mutex);
    if (failure)
      return Status::Failed;
    return operations[ticket.slot].generation > ticket.generation
               ? Status::Done
               : Status::Pending;
  }
  void finish(uint32_t) override {}
  uint64_t changes() const override {
    std::lock_guard lock(mutex);
    return changeCount;
  }
  void waitForChange(uint64_t seen, Clock::time_point deadline) override {
    std::unique_lock lock(mutex);
    changed.wait_until(lock, deadline, [&] { return changeCount != seen; });
  }
  void expire(const Ticket &, std::chrono::milliseconds) override {
    abort({"expired"});
  }
  void abort(Error error) override {
    std::lock_guard lock(mutex);
    failure = std::move(error);
    ++changeCount;
    changed.notify_all();
  }
  bool failed() const override { return failure.has_value(); }
  Error error() const override { return *failure; }

private:
  struct Device {
    Buffer src, dst, host;
    const void *in = nullptr;
    void *out = nullptr;
  };
  struct Operation {
    CollectiveOp op;
    std::vector<Device> devices;
    uint64_t srcBytes = 0, dstBytes = 0;
    uint32_t apart = 0, inPlace = 0;
    size_t arrived = 0;
    uint64_t generation = 0;
  };

  Result<void> allocateBuffers(Operation &operation) {
    const CollectiveOp &op = operation.op;
    uint64_t members = groupSize(op.axes);
    uint64_t bytes = op.count * byteSize(op.type);
    operation.srcBytes = bytes * srcMultiple(op.kind, members);
    operation.dstBytes = bytes * dstMultiple(op.kind, members);
    uint64_t most = std::max(operation.srcBytes, operation.dstBytes);
    for (size_t i = 0; i < devices.size(); ++i) {
      Device &d = operation.devices.emplace_back();
      TPCRT_ASSIGN(d.src, streams->allocate(i, operation.srcBytes, "src"));
      TPCRT_ASSIGN(d.dst, streams->allocate(i, operation.dstBytes, "dst"));
      TPCRT_ASSIGN(d.host, devices[i].gpu->allocatePinned(most, "src or dst"));
    }
    return {};
  }

  Result<void> addToStreams(Operation &operation) {
    std::vector<StreamCommunicator::Buffers> apart, same;
    for (const Device &d : operation.devices) {
      apart.push_back({deviceAddress(d.src), deviceAddress(d.dst)});
      same.push_back({deviceAddress(d.src), deviceAddress(d.src)});
    }
    TPCRT_ASSIGN(operation.apart, streams->add(operation.op, apart));
    if (operation.op.kind == CollectiveKind::AllReduce) {
      TPCRT_ASSIGN(operation.inPlace, streams->add(operation.op, same));
    }
    return {};
  }

  /// Inputs to the GPUs, the collective, results back.
  Result<void> run(Operation &operation) {
    bool inPlace = operation.devices[0].in == operation.devices[0].out;
    for (size_t i = 0; i < devices.size(); ++i) {
      Device &device = operation.devices[i];
      TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*devices[i].gpu));
      if (operation.srcBytes == 0)
        continue;
      std::memcpy(device.host.data(), device.in, operation.srcBytes);
      TPCRT_TRY(TPCRT_CU(driver(i), cuMemcpyHtoDAsync,
                         deviceAddress(device.src), device.host.data(),
                         operation.srcBytes, devices[i].stream.get()));
    }
    TPCRT_TRY(streams->enqueue(inPlace ? operation.inPlace : operation.apart));
    for (size_t i = 0; i < devices.size(); ++i) {
      Device &device = operation.devices[i];
      TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*devices[i].gpu));
      if (operation.dstBytes > 0)
        TPCRT_TRY(TPCRT_CU(driver(i), cuMemcpyDtoHAsync, device.host.data(),
                           deviceAddress(inPlace ? device.src : device.dst),
                           operation.dstBytes, devices[i].stream.get()));
    }
    for (size_t i = 0; i < devices.size(); ++i) {
      Device &device = operation.devices[i];
      TPCRT_TRY(waitFor(i));
      if (operation.dstBytes > 0)
        std::memcpy(device.out, device.host.data(), operation.dstBytes);
    }
    return {};
  }

  Result<void> waitFor(size_t i) {
    auto deadline = Clock::now() + std::chrono::seconds(30);
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*devices[i].gpu));
    while (true) {
      CUresult result = driver(i).cuStreamQuery(devices[i].stream.get());
      if (result != CUDA_ERROR_NOT_READY)
        return driver(i).check(result, "cuStreamQuery");
      TPCRT_TRY(streams->status());
      if (Clock::now() > deadline)
        return fail("the streams do not end");
    }
  }
  const Driver &driver(size_t i) const { return devices[i].gpu->driver(); }

  std::vector<StreamDevice> devices;
  std::deque<Operation> operations;
  std::unique_ptr<StreamCommunicator> streams; // goes before their memory
  mutable std::mutex mutex;
  std::condition_variable changed;
  uint64_t changeCount = 0;
  std::optional<Error> failure;
};

} // namespace

std::unique_ptr<Communicator>
tpcrt::test::adaptStreams(std::vector<StreamDevice> devices,
                          std::unique_ptr<StreamCommunicator> streams) {
  return std::make_unique<StreamAdapter>(std::move(devices),
                                         std::move(streams));
}
