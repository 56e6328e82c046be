// A device of the mesh on a GPU: its stream and its memory. Addresses are fixed
// at load.
#ifndef TPCRT_EXECUTOR_CUDA_CUDADEVICE_H
#define TPCRT_EXECUTOR_CUDA_CUDADEVICE_H

#include "comm/cuda/StreamCommunicator.h"
#include "device/cuda/Gpu.h"

#include <deque>
#include <set>

namespace tpcrt {

struct CudaDevice : ModelBlocks {
  uint64_t number = 0; // on the mesh
  size_t index = 0;    // among those of this process
  std::shared_ptr<Gpu> gpu;
  GpuStream stream;
  GpuEvent event; // for the order between devices

  Buffer arena;
  Buffer workspace; // of the libraries, for one step at a time
  Buffer scalars;   // the device's values of Module::deviceScalars
  std::shared_ptr<const SharedConstants> constants; // of all devices on the GPU

  CUdeviceptr resolve(const BufferRef &ref) const;
};

/// The blocks that devices allocate. Where collectives read and write is the
/// communicator's memory: arenas, and states and parameters that they take in
/// place.
class BlockMemory {
public:
  BlockMemory() = default;
  /// Null: there are no collectives.
  BlockMemory(const Module &module, StreamCommunicator *communicator);

  Result<Buffer> allocate(const CudaDevice &device, Space space, size_t index,
                          uint64_t bytes, std::string_view what) const;

private:
  StreamCommunicator *communicator = nullptr;
  std::set<std::pair<Space, size_t>> exchanged;
};

/// Allocates what the device does not share: arena, workspace, states that are
/// not there, zeroed, scalars.
Result<void> allocateDevice(const Module &module, CudaDevice &device,
                            const BlockMemory &memory, uint64_t workspaceBytes);
/// Constants on a GPU.
Result<std::shared_ptr<const SharedConstants>>
copyConstants(const Module &module, const std::shared_ptr<Gpu> &gpu);

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_CUDA_CUDADEVICE_H
