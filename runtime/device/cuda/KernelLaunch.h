// A launch of a generated kernel.
#ifndef TPCRT_DEVICE_CUDA_KERNELLAUNCH_H
#define TPCRT_DEVICE_CUDA_KERNELLAUNCH_H

#include "device/cuda/GpuOperation.h"
#include "device/cuda/KernelModule.h"

namespace tpcrt {

class KernelLaunch final : public GpuOperation {
public:
  /// `buffers`: the addresses of the step's buffers, in order.
  KernelLaunch(const Gpu &gpu, CUfunction function, const KernelStep &step,
               std::vector<CUdeviceptr> buffers)
      : gpu(gpu), function(function), blocks(step.tiles), threads(step.threads),
        buffers(std::move(buffers)) {
    for (CUdeviceptr &buffer : this->buffers)
      parameters.push_back(&buffer);
  }

  Result<void> enqueue(CUstream stream) override {
    return launch(gpu, function, blocks, threads, stream, parameters.data());
  }
  std::string implementation() const override {
    return fmt::format("generated, {} blocks of {}", blocks, threads);
  }

private:
  const Gpu &gpu;
  CUfunction function;
  uint64_t blocks;
  uint32_t threads;
  std::vector<CUdeviceptr> buffers;
  std::vector<void *> parameters; // the addresses of `buffers`
};

} // namespace tpcrt

#endif // TPCRT_DEVICE_CUDA_KERNELLAUNCH_H
