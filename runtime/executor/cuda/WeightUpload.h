// Weights from their files to GPUs: read piece by piece into two pinned buffers
// in turn, so that one is copied while the other is filled.
#ifndef TPCRT_EXECUTOR_CUDA_WEIGHTUPLOAD_H
#define TPCRT_EXECUTOR_CUDA_WEIGHTUPLOAD_H

#include "device/cuda/Gpu.h"
#include "weights/ParameterLoader.h"

#include <array>
#include <chrono>

namespace tpcrt {

class WeightUpload {
public:
  static Result<std::unique_ptr<WeightUpload>>
  create(const std::shared_ptr<Gpu> &gpu, GpuStream stream,
         std::chrono::milliseconds deadline);
  /// Whatever is still being copied ends before.
  ~WeightUpload();

  /// Reads the block of `parameter` on `device` into `target`, which is of its
  /// size. The copies are in the stream when it returns.
  Result<void> upload(const Module &module, const Parameter &parameter,
                      const WeightSource &weights, uint64_t device,
                      const Buffer &target, LoadCounts &counts);
  /// Waits for all copies.
  Result<void> finish();

private:
  struct Stage {
    Buffer memory;
    GpuEvent copied;
    bool busy = false;
  };

  WeightUpload(const std::shared_ptr<Gpu> &gpu, GpuStream stream,
               std::chrono::milliseconds deadline)
      : gpu(gpu), stream(std::move(stream)), deadline(deadline) {}
  Result<void> wait(Stage &stage);

  std::shared_ptr<Gpu> gpu;
  GpuStream stream;
  std::chrono::milliseconds deadline;
  std::array<Stage, 2> stages;
  unsigned next = 0;
};

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_CUDA_WEIGHTUPLOAD_H
