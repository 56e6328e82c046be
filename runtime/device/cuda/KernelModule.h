// The generated kernels of a module on one GPU.
#ifndef TPCRT_DEVICE_CUDA_KERNELMODULE_H
#define TPCRT_DEVICE_CUDA_KERNELMODULE_H

#include "device/cuda/Gpu.h"

namespace tpcrt {

class KernelModule {
public:
  /// Loads the newest image that the GPU runs and finds every kernel in it. A
  /// module without kernels needs no image.
  static Result<KernelModule> load(const std::shared_ptr<Gpu> &gpu,
                                   const Module &module);
  /// Kernels of the runtime's own: `ptx` ends with a zero.
  static Result<KernelModule> load(const std::shared_ptr<Gpu> &gpu,
                                   const char *ptx,
                                   const std::vector<std::string> &kernels);

  CUfunction function(uint32_t kernel) const { return functions[kernel]; }
  /// "sm_80"; empty without an image.
  const std::string &isa() const { return imageIsa; }

private:
  std::shared_ptr<CUmod_st> handle;
  std::vector<CUfunction> functions;
  std::string imageIsa;
};

/// The image with the highest compute capability of at most `capability`, or
/// null.
const KernelImage *chooseImage(const std::vector<KernelImage> &images,
                               int capability);

/// Runs `function` on `blocks` blocks of `threads` threads.
Result<void> launch(const Gpu &gpu, CUfunction function, uint64_t blocks,
                    uint32_t threads, CUstream stream, void **parameters);

} // namespace tpcrt

#endif // TPCRT_DEVICE_CUDA_KERNELMODULE_H
