// The inputs and outputs of a program: between whole tensors of the caller and
// the devices' arenas, through pinned memory that the GPUs copy by themselves.
#ifndef TPCRT_EXECUTOR_CUDA_CUDAPORTS_H
#define TPCRT_EXECUTOR_CUDA_CUDAPORTS_H

#include "executor/Transfer.h"
#include "executor/WholeGather.h"
#include "executor/cuda/CudaDevice.h"
#include "tpcrt/HostTensor.h"

namespace tpcrt {

class CudaPorts {
public:
  /// Outputs whose blocks lie in several processes are gathered first, by
  /// `communicator`.
  static Result<CudaPorts> create(const Module &module, const Program &program,
                                  const std::deque<CudaDevice> &devices,
                                  const DeviceDivision &division,
                                  StreamCommunicator *communicator);

  /// Puts the inputs into the streams of all devices.
  Result<void> copyIn(const std::vector<HostTensor> &inputs);
  /// Puts the gathering of outputs into the streams; part of the program.
  Result<void> enqueueGathers();
  /// Puts the copies of outputs to pinned memory into the streams.
  Result<void> startCopyingOut();
  /// Once the streams are done.
  void gather(std::vector<HostTensor> &outputs) const;

private:
  CudaPorts(const std::deque<CudaDevice> &devices,
            StreamCommunicator *communicator)
      : devices(&devices), communicator(communicator) {}

  /// Memory of a device that is copied in one go: a block, or several one
  /// behind the other.
  struct Piece {
    size_t port = 0;
    CUdeviceptr address = 0;
    uint64_t bytes = 0;
    uint64_t staging = 0; // offset
    std::vector<BlockTransfer> blocks;
  };
  struct Device {
    Buffer staging;
    std::vector<Piece> inputs, outputs;
  };

  const std::deque<CudaDevice> *devices;
  StreamCommunicator *communicator;
  std::vector<Device> bound;
  std::vector<uint32_t> gathers; // the communicator's numbers
  std::vector<Buffer> gathered;
};

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_CUDA_CUDAPORTS_H
