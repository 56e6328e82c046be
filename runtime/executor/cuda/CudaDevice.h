// A device of the mesh on a GPU: its stream and its memory. Addresses are fixed
// at load.
#ifndef TPCRT_EXECUTOR_CUDA_CUDADEVICE_H
#define TPCRT_EXECUTOR_CUDA_CUDADEVICE_H

#include "comm/cuda/StreamCommunicator.h"
#include "device/cuda/Gpu.h"

#include <deque>

namespace tpcrt {

struct CudaDevice : ModelBlocks {
  uint64_t number = 0; // on the mesh
  std::shared_ptr<Gpu> gpu;
  GpuStream stream;
  GpuEvent event; // for the order between devices

  Buffer arena;
  Buffer workspace; // of the libraries, for one step at a time
  Buffer scalars;   // the device's values of Module::deviceScalars
  std::shared_ptr<const SharedConstants> constants; // of all devices on the GPU

  CUdeviceptr resolve(const BufferRef &ref) const;
};

/// Allocates what the device does not share: arena, workspace, states that are
/// not there, zeroed, scalars.
Result<void> allocateDevice(const Module &module, CudaDevice &device,
                            uint64_t workspaceBytes);
/// Constants on a GPU.
Result<std::shared_ptr<const SharedConstants>>
copyConstants(const Module &module, const std::shared_ptr<Gpu> &gpu);

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_CUDA_CUDADEVICE_H
