// How GPUs exchange data: collectives that are put into streams like any other
// work. All devices of this process run the same steps in lockstep, so one call
// enqueues a collective on all of them.
#ifndef TPCRT_COMM_CUDA_STREAMCOMMUNICATOR_H
#define TPCRT_COMM_CUDA_STREAMCOMMUNICATOR_H

#include "comm/Communicator.h"
#include "device/cuda/Gpu.h"

namespace tpcrt {

struct NcclLibrary;

/// A device of the mesh that this process runs.
struct StreamDevice {
  uint64_t number = 0; // on the mesh
  std::shared_ptr<Gpu> gpu;
  GpuStream stream;
};

class StreamCommunicator {
public:
  struct Buffers {
    CUdeviceptr src, dst;
  };

  virtual ~StreamCommunicator() = default;

  /// Memory of local device `device` for what collectives read and write;
  /// other memory works as well. Before the first add, the same on all devices
  /// in the same order.
  virtual Result<Buffer> allocate(size_t device, uint64_t bytes,
                                  std::string_view what) = 0;
  /// What that is, for reports: "symmetric", or "plain" and why.
  virtual std::string memory() const = 0;

  /// Makes a collective known, at load; buffers by local device. Returns the
  /// number by which enqueue names it. Where several processes share the mesh,
  /// all add the same collectives in the same order.
  virtual Result<uint32_t> add(const CollectiveOp &op,
                               const std::vector<Buffers> &buffers) = 0;

  /// Forgets the collective that was added last.
  virtual void removeLast() = 0;

  /// Puts it into the streams of all local devices; legal while a graph is
  /// captured.
  virtual Result<void> enqueue(uint32_t collective) = 0;

  /// An error once a collective has failed, as far as is known without waiting.
  virtual Result<void> status() = 0;
  /// Ends what is running in the streams; nothing can be enqueued afterwards.
  virtual void abort() = 0;

  /// What computes it, for reports: "loopback", "nccl", "peer memory".
  virtual std::string implementation(uint32_t collective) const = 0;
};

/// Several devices of the mesh on one GPU: copies and a kernel that reduces in
/// the order of the members.
Result<std::unique_ptr<StreamCommunicator>>
createLoopbackCommunicator(const Mesh &mesh, std::vector<StreamDevice> devices);

struct NcclOptions {
  /// How long other processes are waited for.
  std::chrono::milliseconds deadline;
  /// Small all-reduces go over memory of peers where GPUs allow it
  /// (PeerReduce.h).
  bool peerMemory = true;
  /// Memory is registered with NCCL where all can (SymmetricMemory.h).
  bool symmetricMemory = true;
};

/// Devices on GPUs of their own; null `processes`: all of them in this one.
Result<std::unique_ptr<StreamCommunicator>>
createNcclCommunicator(const NcclLibrary &library, const Mesh &mesh,
                       std::vector<StreamDevice> devices,
                       std::shared_ptr<ProcessGroup> processes,
                       const NcclOptions &options);

} // namespace tpcrt

#endif // TPCRT_COMM_CUDA_STREAMCOMMUNICATOR_H
