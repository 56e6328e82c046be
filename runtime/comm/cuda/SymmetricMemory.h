// Memory that NCCL knows on all GPUs ("symmetric memory"): its kernels read and
// write it in place on every GPU, without copies through buffers of their own.
// For that
//
//   the memory is NCCL's (ncclMemAlloc), in equal pieces on every device;
//   every communicator has each piece in a window, registered by all members in
//   the same order, as NCCL_WIN_COLL_SYMMETRIC;
//   all members name the same offsets in a collective, as they run one program.
//
// Either all members of all groups have it or none has, and then NCCL takes the
// memory as any other. A window goes before its communicator, and memory after
// all windows on it.
//
// Source: nccl.h 2.28, and "Window Registration" in NCCL's user guide.
#ifndef TPCRT_COMM_CUDA_SYMMETRICMEMORY_H
#define TPCRT_COMM_CUDA_SYMMETRICMEMORY_H

#include "comm/cuda/Nccl.h"

namespace tpcrt {

class SymmetricMemory {
public:
  /// Windows of one communicator, one for each piece.
  using Windows = std::vector<ncclWindow_t>;

  SymmetricMemory(const NcclLibrary &nccl,
                  const std::vector<StreamDevice> &devices, bool isWanted);

  /// NCCL's memory, while this process has nothing against it, else the
  /// driver's.
  Result<Buffer> allocate(size_t device, uint64_t bytes, std::string_view what);

  /// Whether there is something to register, which all processes can. All of
  /// them call it together, after the last allocation.
  Result<void> agree(ProcessGroup *processes);

  /// Registers the memory of local device `device`. The windows are there when
  /// the communicator has settled.
  Result<void> registerOn(ncclComm_t comm, size_t device,
                          Windows &windows) const;
  /// Collects what went wrong, here or elsewhere: nothing is registered then.
  /// `windows` by local device; others may need `limit` to find out.
  Result<void> conclude(const Result<void> &registered,
                        const std::vector<Windows> &windows,
                        ProcessGroup *processes,
                        std::chrono::milliseconds limit);
  Result<void> deregister(ncclComm_t comm, const Windows &windows) const;

  bool isUsed() const { return hasAgreed && reason.empty(); }
  /// "symmetric", or "plain (why)".
  std::string description() const;

private:
  struct Piece {
    void *address;
    uint64_t bytes;
  };
  /// Takes over the first reason of any process.
  Result<void> shareReason(std::string_view what, ProcessGroup *processes,
                           ProcessGroup::Limit limit);

  NcclLibrary nccl;
  std::vector<StreamDevice> devices;
  std::vector<std::vector<Piece>> pieces; // by local device
  std::string reason;                     // against it
  bool hasAgreed = false;
};

} // namespace tpcrt

#endif // TPCRT_COMM_CUDA_SYMMETRICMEMORY_H
