#include "comm/cuda/SymmetricMemory.h"

#include <algorithm>

using namespace tpcrt;

SymmetricMemory::SymmetricMemory(const NcclLibrary &nccl,
                                 const std::vector<StreamDevice> &devices,
                                 bool isWanted)
    : nccl(nccl), devices(devices), pieces(devices.size()) {
  if (!isWanted)
    reason = "it is turned off";
  else if (!nccl.hasWindows())
    reason = "NCCL is older than 2.27";
}

Result<Buffer> SymmetricMemory::allocate(size_t device, uint64_t bytes,
                                         std::string_view what) {
  Gpu &gpu = *devices[device].gpu;
  if (bytes == 0 || !reason.empty())
    return gpu.allocate(bytes, what);
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(gpu));
  void *address = nullptr;
  if (auto got = TPCRT_NCCL(nccl, ncclMemAlloc, &address, bytes); !got) {
    reason = fmt::format("{}: {}: {}", gpu.name(), what, got.error().message);
    return gpu.allocate(bytes, what);
  }
  pieces[device].push_back({address, bytes});
  return gpu.adopt(address, bytes, nccl.ncclMemFree);
}

Result<void> SymmetricMemory::agree(ProcessGroup *processes) {
  hasAgreed = true;
  std::string sizes;
  for (const Piece &piece : pieces[0])
    sizes += fmt::format("{} ", piece.bytes);
  if (reason.empty() && sizes.empty())
    reason = "there is none to share";
  TPCRT_TRY(shareReason("symmetric memory", processes, {}));
  if (processes && reason.empty())
    return processes->agree("memory of collectives", sizes);
  return {};
}

Result<void> SymmetricMemory::shareReason(std::string_view what,
                                          ProcessGroup *processes,
                                          ProcessGroup::Limit limit) {
  if (!processes)
    return {};
  TPCRT_ASSIGN(auto reasons, processes->exchange(what, reason, limit));
  for (size_t rank = 0; rank < reasons.size() && reason.empty(); ++rank)
    if (!reasons[rank].empty())
      reason = fmt::format("rank {}: {}", rank, reasons[rank]);
  return {};
}

Result<void> SymmetricMemory::registerOn(ncclComm_t comm, size_t device,
                                         Windows &windows) const {
  windows.resize(pieces[device].size());
  for (size_t i = 0; i < windows.size(); ++i) {
    const Piece &piece = pieces[device][i];
    TPCRT_TRY(TPCRT_NCCL(nccl, ncclCommWindowRegister, comm, piece.address,
                         piece.bytes, &windows[i], NCCL_WIN_COLL_SYMMETRIC));
  }
  return {};
}

Result<void> SymmetricMemory::conclude(const Result<void> &registered,
                                       const std::vector<Windows> &windows,
                                       ProcessGroup *processes,
                                       std::chrono::milliseconds limit) {
  if (!registered)
    reason = registered.error().message;
  // No error, and no window: what it needs is not there.
  for (size_t i = 0; i < devices.size() && reason.empty(); ++i)
    if (std::ranges::find(windows[i], nullptr) != windows[i].end())
      reason =
          fmt::format("NCCL does not support it on {}", devices[i].gpu->name());
  return shareReason("windows of NCCL", processes, limit);
}

Result<void> SymmetricMemory::deregister(ncclComm_t comm,
                                         const Windows &windows) const {
  for (ncclWindow_t window : windows)
    TPCRT_TRY(TPCRT_NCCL(nccl, ncclCommWindowDeregister, comm, window));
  return {};
}

std::string SymmetricMemory::description() const {
  if (isUsed())
    return "symmetric";
  return fmt::format("plain ({})",
                     reason.empty() ? "no collective uses NCCL" : reason);
}
