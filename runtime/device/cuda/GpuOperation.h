// A step of a program on one device, with everything in it resolved.
#ifndef TPCRT_DEVICE_CUDA_GPUOPERATION_H
#define TPCRT_DEVICE_CUDA_GPUOPERATION_H

#include "device/cuda/Gpu.h"

namespace tpcrt {

class GpuOperation {
public:
  virtual ~GpuOperation() = default;

  /// Puts the work into the stream and returns; legal while a graph is
  /// captured. The GPU is current.
  virtual Result<void> enqueue(CUstream stream) = 0;
  /// What computes it, for reports.
  virtual std::string implementation() const = 0;
};

} // namespace tpcrt

#endif // TPCRT_DEVICE_CUDA_GPUOPERATION_H
