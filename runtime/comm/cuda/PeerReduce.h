// Small all-reduces over memory that GPUs read of each other (PeerKernels.h):
// one launch on each GPU instead of the several hops of a ring. For groups on
// one host whose GPUs can; NCCL does the rest.
#ifndef TPCRT_COMM_CUDA_PEERREDUCE_H
#define TPCRT_COMM_CUDA_PEERREDUCE_H

#include "comm/cuda/StreamCommunicator.h"
#include "device/cuda/KernelModule.h"

namespace tpcrt {

/// The groups over one list of axes.
class PeerReduce {
public:
  /// What the compiler has found to take less so, as far as mailboxes hold it:
  /// 512 KiB, of 8 members at most.
  static bool takes(const CollectiveOp &op);

  /// Null with a reason in `unable` if a GPU cannot reach another's memory. All
  /// processes call it together, and come to the same conclusion.
  static Result<std::unique_ptr<PeerReduce>>
  create(const Mesh &mesh, const std::vector<AxisPart> &axes,
         const std::vector<StreamDevice> &devices, ProcessGroup *processes,
         std::string &unable);
  PeerReduce(const PeerReduce &) = delete;
  ~PeerReduce();

  /// Puts local device `device`'s part into its stream.
  Result<void> enqueue(const CollectiveOp &op, size_t device,
                       StreamCommunicator::Buffers buffers);
  /// Kernels that wait end, without a result.
  void abort();

private:
  struct Member {
    Buffer mailbox, table;
    KernelModule kernels;
    uint32_t self = 0;
    std::vector<CUdeviceptr> mailboxes; // by member of its group
    std::vector<CUdeviceptr> opened;    // of them, of other processes
  };

  explicit PeerReduce(const std::vector<StreamDevice> &devices)
      : devices(devices), members(devices.size()) {}
  Result<void> allocate();
  /// What cannot be reached, if anything.
  Result<std::string> reachInProcess(const Mesh &mesh,
                                     const std::vector<AxisPart> &axes);
  Result<std::string> reachOthers(const Mesh &mesh,
                                  const std::vector<AxisPart> &axes,
                                  ProcessGroup &processes);
  Result<void> fillTables();

  std::vector<StreamDevice> devices;
  std::vector<Member> members; // by local device
  Buffer abortWord;            // of the host
};

} // namespace tpcrt

#endif // TPCRT_COMM_CUDA_PEERREDUCE_H
