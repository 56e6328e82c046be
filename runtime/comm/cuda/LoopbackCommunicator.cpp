// The communicator of mesh devices that share one GPU. The first member of a
// group does the group's work in its stream:
//
//   member 0   wait 1, 2, 3 | reduce or copy | done
//   member 1   arrived                       | wait done
//
// Reductions run on the members' buffers as they lie, in the order of the
// members; everything else is copies.
#include "comm/cuda/ReduceKernels.h"
#include "comm/cuda/ReduceLines.h"
#include "comm/cuda/StreamCommunicator.h"
#include "device/cuda/KernelModule.h"
#include "support/Fail.h"

#include <deque>

using namespace tpcrt;

namespace {

/// Elements that one launch gives each thread at least, and the most blocks.
constexpr uint32_t threadsPerBlock = 256;
constexpr uint64_t maxBlocks = 1024;

/// One group of one collective.
struct Group {
  const CollectiveOp *op;
  std::vector<uint32_t> devices; // local, by member
  std::vector<CUdeviceptr> src, dst;
  Buffer srcTable, dstTable; // their addresses; of reductions

  uint64_t chunkBytes() const { return op->count * byteSize(op->type); }
};

class LoopbackCommunicator final : public StreamCommunicator {
public:
  LoopbackCommunicator(const Mesh &mesh, std::vector<StreamDevice> devices,
                       KernelModule kernels)
      : mesh(mesh), devices(std::move(devices)), kernels(std::move(kernels)) {}

  Result<void> makeEvents();
  Result<Buffer> allocate(size_t, uint64_t bytes,
                          std::string_view what) override {
    return devices[0].gpu->allocate(bytes, what);
  }
  std::string memory() const override { return "plain (on one GPU)"; }
  Result<uint32_t> add(const CollectiveOp &op,
                       const std::vector<Buffers> &buffers) override;
  void removeLast() override { collectives.pop_back(); }
  Result<void> enqueue(uint32_t collective) override;
  Result<void> status() override { return {}; }
  void abort() override {} // nothing in it can wait for another process
  std::string implementation(uint32_t) const override { return "loopback"; }

private:
  struct Collective {
    CollectiveOp op;
    std::vector<Group> groups;
  };

  const Gpu &gpu() const { return *devices[0].gpu; }
  Result<Buffer> tableOf(const std::vector<CUdeviceptr> &addresses);
  Result<void> work(const Group &group, CUstream stream);
  Result<void> reduce(const Group &group, CUdeviceptr dstTable,
                      uint32_t results, uint64_t offset, CUstream stream);
  Result<void> copy(CUdeviceptr dst, CUdeviceptr src, uint64_t bytes,
                    CUstream stream);

  Mesh mesh;
  std::vector<StreamDevice> devices;
  KernelModule kernels;
  std::vector<GpuEvent> arrived; // by device; the first member's: done
  std::deque<Collective> collectives;
};

Result<void> LoopbackCommunicator::makeEvents() {
  for (StreamDevice &device : devices) {
    TPCRT_ASSIGN(GpuEvent event, device.gpu->createEvent());
    arrived.push_back(std::move(event));
  }
  return {};
}

Result<Buffer>
LoopbackCommunicator::tableOf(const std::vector<CUdeviceptr> &addresses) {
  uint64_t bytes = addresses.size() * sizeof(CUdeviceptr);
  TPCRT_ASSIGN(Buffer table,
               devices[0].gpu->allocate(bytes, "a table of buffers"));
  TPCRT_TRY(TPCRT_CU(gpu().driver(), cuMemcpyHtoD, deviceAddress(table),
                     addresses.data(), bytes));
  return table;
}

Result<uint32_t>
LoopbackCommunicator::add(const CollectiveOp &op,
                          const std::vector<Buffers> &buffers) {
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(gpu()));
  Collective &collective = collectives.emplace_back();
  collective.op = op;
  for (uint64_t device = 0; device < devices.size(); ++device) {
    if (memberIndex(op.axes, mesh, device) != 0)
      continue;
    Group group{&collective.op, {}, {}, {}, {}, {}};
    for (uint64_t member : groupOf(op.axes, mesh, device)) {
      group.devices.push_back(member);
      group.src.push_back(buffers[member].src);
      group.dst.push_back(buffers[member].dst);
    }
    if (op.kind == CollectiveKind::AllReduce ||
        op.kind == CollectiveKind::ReduceScatter) {
      TPCRT_ASSIGN(group.srcTable, tableOf(group.src));
      TPCRT_ASSIGN(group.dstTable, tableOf(group.dst));
    }
    collective.groups.push_back(std::move(group));
  }
  return collectives.size() - 1;
}

Result<void> LoopbackCommunicator::enqueue(uint32_t collective) {
  const Driver &driver = gpu().driver();
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(gpu()));
  for (const Group &group : collectives[collective].groups) {
    uint32_t first = group.devices[0];
    CUstream stream = devices[first].stream.get();
    for (uint32_t device : group.devices)
      if (device != first) {
        TPCRT_TRY(TPCRT_CU(driver, cuEventRecord, arrived[device].get(),
                           devices[device].stream.get()));
        TPCRT_TRY(TPCRT_CU(driver, cuStreamWaitEvent, stream,
                           arrived[device].get(), 0));
      }
    if (group.chunkBytes() > 0)
      TPCRT_TRY(work(group, stream));
    if (group.devices.size() > 1)
      TPCRT_TRY(TPCRT_CU(driver, cuEventRecord, arrived[first].get(), stream));
    for (uint32_t device : group.devices)
      if (device != first)
        TPCRT_TRY(TPCRT_CU(driver, cuStreamWaitEvent,
                           devices[device].stream.get(), arrived[first].get(),
                           0));
  }
  return {};
}

Result<void> LoopbackCommunicator::reduce(const Group &group,
                                          CUdeviceptr dstTable,
                                          uint32_t results, uint64_t offset,
                                          CUstream stream) {
  CUdeviceptr srcTable = deviceAddress(group.srcTable);
  uint32_t members = group.devices.size();
  uint64_t count = group.op->count;
  void *parameters[] = {&srcTable, &dstTable, &members,
                        &results,  &offset,   &count};
  uint64_t blocks =
      std::min((count + threadsPerBlock - 1) / threadsPerBlock, maxBlocks);
  return launch(
      gpu(), kernels.function(reduceIndex(group.op->type, group.op->reduction)),
      blocks, threadsPerBlock, stream, parameters);
}

Result<void> LoopbackCommunicator::copy(CUdeviceptr dst, CUdeviceptr src,
                                        uint64_t bytes, CUstream stream) {
  if (dst == src)
    return {};
  return TPCRT_CU(gpu().driver(), cuMemcpyDtoDAsync, dst, src, bytes, stream);
}

Result<void> LoopbackCommunicator::work(const Group &group, CUstream stream) {
  uint64_t members = group.devices.size(), bytes = group.chunkBytes();
  CUdeviceptr dsts = deviceAddress(group.dstTable);
  switch (group.op->kind) {
  case CollectiveKind::AllReduce:
    return reduce(group, dsts, members, 0, stream);
  case CollectiveKind::ReduceScatter:
    for (uint64_t i = 0; i < members; ++i)
      TPCRT_TRY(reduce(group, dsts + i * sizeof(CUdeviceptr), 1,
                       i * group.op->count, stream));
    return {};
  case CollectiveKind::AllGather:
    for (uint64_t to = 0; to < members; ++to)
      for (uint64_t from = 0; from < members; ++from)
        TPCRT_TRY(
            copy(group.dst[to] + from * bytes, group.src[from], bytes, stream));
    return {};
  case CollectiveKind::AllToAll:
    for (uint64_t to = 0; to < members; ++to)
      for (uint64_t from = 0; from < members; ++from)
        TPCRT_TRY(copy(group.dst[to] + from * bytes,
                       group.src[from] + to * bytes, bytes, stream));
    return {};
  case CollectiveKind::Permute:
    for (uint64_t to = 0; to < members; ++to)
      TPCRT_TRY(
          copy(group.dst[to], group.src[group.op->sources[to]], bytes, stream));
    return {};
  }
  return fail("unknown kind of collective");
}

} // namespace

Result<std::unique_ptr<StreamCommunicator>>
tpcrt::createLoopbackCommunicator(const Mesh &mesh,
                                  std::vector<StreamDevice> devices) {
  for (const StreamDevice &device : devices)
    if (device.gpu != devices[0].gpu)
      return fail("the loopback communicator is for devices on one GPU");
  TPCRT_ASSIGN(KernelModule kernels,
               KernelModule::load(devices[0].gpu, reduceKernels().c_str(),
                                  reduceKernelNames(reduceFamily)));
  auto communicator = std::make_unique<LoopbackCommunicator>(
      mesh, std::move(devices), std::move(kernels));
  TPCRT_TRY(communicator->makeEvents());
  return communicator;
}
