#include "comm/cuda/PeerReduce.h"

#include "comm/DeviceDivision.h"
#include "comm/cuda/PeerKernels.h"
#include "comm/cuda/ReduceLines.h"

#include <algorithm>
#include <cstring>

using namespace tpcrt;

bool PeerReduce::takes(const CollectiveOp &op) {
  uint64_t members = groupSize(op.axes);
  return op.oneLaunch && op.kind == CollectiveKind::AllReduce && op.count > 0 &&
         members > 1 && members <= Mailbox::maxMembers &&
         op.count * byteSize(op.type) <= Mailbox::blocks * Mailbox::sliceBytes;
}

Result<std::unique_ptr<PeerReduce>>
PeerReduce::create(const Mesh &mesh, const std::vector<AxisPart> &axes,
                   const std::vector<StreamDevice> &devices,
                   ProcessGroup *processes, std::string &unable) {
  std::unique_ptr<PeerReduce> peers(new PeerReduce(devices));
  TPCRT_TRY(peers->allocate());
  TPCRT_ASSIGN(unable, peers->reachInProcess(mesh, axes));
  if (processes) {
    TPCRT_ASSIGN(std::string others,
                 peers->reachOthers(mesh, axes, *processes));
    if (unable.empty())
      unable = others;
    // All take part, or none; and nobody begins before all are ready.
    TPCRT_ASSIGN(auto verdicts,
                 processes->exchange("peer memory is reached", unable));
    for (const std::string &verdict : verdicts)
      if (unable.empty())
        unable = verdict;
  }
  if (!unable.empty())
    return nullptr;
  TPCRT_TRY(peers->fillTables());
  return peers;
}

Result<void> PeerReduce::allocate() {
  TPCRT_ASSIGN(abortWord, devices[0].gpu->allocatePinned(
                              sizeof(uint32_t), "a word that ends waiting"));
  std::memset(abortWord.data(), 0, sizeof(uint32_t));
  std::vector<std::byte> zeros(Mailbox::staging);
  for (size_t i = 0; i < devices.size(); ++i) {
    Gpu &gpu = *devices[i].gpu;
    Member &member = members[i];
    TPCRT_ASSIGN(member.kernels,
                 KernelModule::load(devices[i].gpu, peerKernels().c_str(),
                                    reduceKernelNames(peerFamily)));
    TPCRT_ASSIGN(member.mailbox,
                 gpu.allocate(Mailbox::bytes, "all-reduces over peer memory"));
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(gpu));
    CUdeviceptr address = deviceAddress(member.mailbox);
    TPCRT_TRY(TPCRT_CU(gpu.driver(), cuMemcpyHtoD, address, zeros.data(),
                       zeros.size()));
    // The copy may still be under way; one back is not. Nobody writes flags
    // before.
    TPCRT_TRY(TPCRT_CU(gpu.driver(), cuMemcpyDtoH, zeros.data(), address,
                       zeros.size()));
  }
  return {};
}

Result<std::string>
PeerReduce::reachInProcess(const Mesh &mesh,
                           const std::vector<AxisPart> &axes) {
  uint64_t first = devices[0].number;
  for (size_t i = 0; i < devices.size(); ++i) {
    uint64_t number = devices[i].number;
    members[i].self = memberIndex(axes, mesh, number);
    for (uint64_t peer : groupOf(axes, mesh, number)) {
      bool isLocal = peer >= first && peer < first + devices.size();
      members[i].mailboxes.push_back(
          isLocal ? deviceAddress(members[peer - first].mailbox) : 0);
      if (!isLocal || peer == number)
        continue;
      Gpu &gpu = *devices[i].gpu, &other = *devices[peer - first].gpu;
      TPCRT_ASSIGN(bool can, gpu.canReach(other));
      if (!can)
        return fmt::format("{} cannot read memory of {}", gpu.name(),
                           other.name());
      TPCRT_TRY(gpu.reach(other));
    }
  }
  return std::string();
}

Result<std::string> PeerReduce::reachOthers(const Mesh &mesh,
                                            const std::vector<AxisPart> &axes,
                                            ProcessGroup &processes) {
  std::string handles, unable;
  for (size_t i = 0; i < devices.size(); ++i) {
    const Gpu &gpu = *devices[i].gpu;
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(gpu));
    CUipcMemHandle handle{};
    auto got = TPCRT_CU(gpu.driver(), cuIpcGetMemHandle, &handle,
                        deviceAddress(members[i].mailbox));
    if (!got)
      unable = got.error().message;
    handles.append(handle.reserved, sizeof(handle.reserved));
  }
  TPCRT_ASSIGN(auto all, processes.exchange("peer memory", handles));
  TPCRT_ASSIGN(DeviceDivision division, DeviceDivision::of(mesh, &processes));
  for (size_t i = 0; i < devices.size() && unable.empty(); ++i) {
    const Gpu &gpu = *devices[i].gpu;
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(gpu));
    std::vector<uint64_t> group = groupOf(axes, mesh, devices[i].number);
    for (size_t m = 0; m < group.size() && unable.empty(); ++m) {
      uint32_t rank = division.rankOf(group[m]);
      if (rank == division.rank)
        continue;
      const auto &known = processes.processes();
      if (known[rank].hostKey != known[division.rank].hostKey) {
        unable = fmt::format("device {} is on another host than device {}",
                             group[m], devices[i].number);
        break;
      }
      CUipcMemHandle handle;
      uint64_t place = group[m] % division.perProcess * sizeof(handle.reserved);
      std::memcpy(handle.reserved, all[rank].data() + place,
                  sizeof(handle.reserved));
      auto opened =
          TPCRT_CU(gpu.driver(), cuIpcOpenMemHandle, &members[i].mailboxes[m],
                   handle, CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS);
      if (!opened)
        unable = fmt::format("{} cannot open memory of device {}: {}",
                             gpu.name(), group[m], opened.error().message);
      else
        members[i].opened.push_back(members[i].mailboxes[m]);
    }
  }
  return unable;
}

Result<void> PeerReduce::fillTables() {
  for (size_t i = 0; i < devices.size(); ++i) {
    Member &member = members[i];
    Gpu &gpu = *devices[i].gpu;
    uint64_t bytes = member.mailboxes.size() * sizeof(CUdeviceptr);
    TPCRT_ASSIGN(member.table, gpu.allocate(bytes, "a table of mailboxes"));
    TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(gpu));
    TPCRT_TRY(TPCRT_CU(gpu.driver(), cuMemcpyHtoD, deviceAddress(member.table),
                       member.mailboxes.data(), bytes));
  }
  return {};
}

PeerReduce::~PeerReduce() {
  for (size_t i = 0; i < devices.size(); ++i)
    if (const Gpu &gpu = *devices[i].gpu; !gpu.isStuck())
      if (auto scope = GpuScope::enter(gpu))
        for (CUdeviceptr address : members[i].opened)
          gpu.driver().cuIpcCloseMemHandle(address);
}

void PeerReduce::abort() {
  __atomic_store_n(reinterpret_cast<uint32_t *>(abortWord.data()), 1,
                   __ATOMIC_RELEASE);
}

Result<void> PeerReduce::enqueue(const CollectiveOp &op, size_t device,
                                 StreamCommunicator::Buffers buffers) {
  const Member &member = members[device];
  const Gpu &gpu = *devices[device].gpu;
  CUdeviceptr table = deviceAddress(member.table);
  CUdeviceptr stop = deviceAddress(abortWord);
  uint32_t self = member.self, size = member.mailboxes.size();
  uint64_t count = op.count;
  void *parameters[] = {&buffers.src, &buffers.dst, &table, &self,
                        &size,        &count,       &stop};
  uint64_t blocks = (count * byteSize(op.type) + Mailbox::sliceBytes - 1) /
                    Mailbox::sliceBytes;
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(gpu));
  return launch(
      gpu, member.kernels.function(reduceIndex(op.type, op.reduction)), blocks,
      Mailbox::threads, devices[device].stream.get(), parameters);
}
