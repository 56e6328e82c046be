// One GPU as this process uses it: its primary context, and everything that is
// made in the context, with owners.
#ifndef TPCRT_DEVICE_CUDA_GPU_H
#define TPCRT_DEVICE_CUDA_GPU_H

#include "device/Buffer.h"
#include "device/cuda/Driver.h"

#include <atomic>

namespace tpcrt {

using GpuStream = std::shared_ptr<CUstream_st>;
using GpuEvent = std::shared_ptr<CUevent_st>;

class Gpu : public std::enable_shared_from_this<Gpu> {
public:
  static Result<std::shared_ptr<Gpu>> open(const Driver &driver, int ordinal);
  Gpu(const Gpu &) = delete;
  ~Gpu();

  const Driver &driver() const { return functions; }
  int ordinal() const { return number; }
  /// "GPU 0 (NVIDIA H200)"
  const std::string &name() const { return text; }
  /// 90 for sm_90.
  int capability() const { return computeCapability; }

  struct Memory {
    uint64_t free, total;
  };
  Result<Memory> memory() const;

  /// Whether its kernels can read and write memory of `peer`, and lets them.
  Result<bool> canReach(const Gpu &peer) const;
  Result<void> reach(const Gpu &peer);

  /// Uninitialized memory of the GPU.
  Result<Buffer> allocate(uint64_t bytes, std::string_view what);
  /// What a library has allocated in the GPU's context, and `free` gives back.
  Buffer adopt(void *address, uint64_t bytes, std::function<void(void *)> free);
  /// Host memory that the GPU copies from and to while the host goes on.
  Result<Buffer> allocatePinned(uint64_t bytes, std::string_view what);
  Result<GpuStream> createStream();
  enum class Timing : bool { Off, On };
  Result<GpuEvent> createEvent(Timing timing = Timing::Off);

  /// `handle` with an owner: `destroy` is called in the GPU's context.
  template <class T>
  std::shared_ptr<T> own(T *handle, CUresult (*Driver::*destroy)(T *)) {
    return {handle, [gpu = shared_from_this(), destroy](T *handle) {
              gpu->release([&] { (gpu->functions.*destroy)(handle); });
            }};
  }

  /// Something runs on it that does not end. What would wait for its end, such
  /// as freeing memory, is left to the end of the process from then on.
  void setStuck() { stuck = true; }
  bool isStuck() const { return stuck; }

private:
  friend class GpuScope;
  Gpu(const Driver &driver, int number) : functions(driver), number(number) {}
  /// Runs `work` in the context, unless the GPU is stuck.
  void release(const std::function<void()> &work) const;

  Driver functions;
  int number;
  CUdevice device = 0;
  CUcontext context = nullptr;
  std::string text;
  int computeCapability = 0;
  std::atomic<bool> stuck{false};
};

/// Makes a GPU's context the thread's current one; the one before afterwards.
class GpuScope {
public:
  static Result<GpuScope> enter(const Gpu &gpu);
  GpuScope(GpuScope &&other) : gpu(std::exchange(other.gpu, nullptr)) {}
  GpuScope &operator=(GpuScope &&) = delete;
  ~GpuScope();

private:
  explicit GpuScope(const Gpu &gpu) : gpu(&gpu) {}
  const Gpu *gpu;
};

inline CUdeviceptr deviceAddress(const Buffer &buffer) {
  return reinterpret_cast<CUdeviceptr>(buffer.data());
}

} // namespace tpcrt

#endif // TPCRT_DEVICE_CUDA_GPU_H
