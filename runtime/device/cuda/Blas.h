// cuBLASLt's functions, found at run time, and matmuls by it.
#ifndef TPCRT_DEVICE_CUDA_BLAS_H
#define TPCRT_DEVICE_CUDA_BLAS_H

#include "device/cuda/GpuOperation.h"
#include "device/cuda/ProductForm.h"

#include <cublasLt.h>
#include <map>

#define TPCRT_BLAS_FUNCTIONS(FUNCTION)                                         \
  FUNCTION(cublasLtCreate)                                                     \
  FUNCTION(cublasLtDestroy)                                                    \
  FUNCTION(cublasLtGetVersion)                                                 \
  FUNCTION(cublasLtGetStatusString)                                            \
  FUNCTION(cublasLtMatmulDescCreate)                                           \
  FUNCTION(cublasLtMatmulDescDestroy)                                          \
  FUNCTION(cublasLtMatmulDescSetAttribute)                                     \
  FUNCTION(cublasLtMatrixLayoutCreate)                                         \
  FUNCTION(cublasLtMatrixLayoutDestroy)                                        \
  FUNCTION(cublasLtMatrixLayoutSetAttribute)                                   \
  FUNCTION(cublasLtMatmulPreferenceCreate)                                     \
  FUNCTION(cublasLtMatmulPreferenceDestroy)                                    \
  FUNCTION(cublasLtMatmulPreferenceSetAttribute)                               \
  FUNCTION(cublasLtMatmulAlgoGetHeuristic)                                     \
  FUNCTION(cublasLtMatmul)

namespace tpcrt {

struct BlasLibrary {
  TPCRT_BLAS_FUNCTIONS(TPCRT_DECLARE_FUNCTION)

  static Result<BlasLibrary> load();
  Result<void> check(cublasStatus_t status, const char *function) const;
};

/// Whether the library computes it: types, strides, epilogue. Asked before
/// there is a GPU.
Result<ProductForm> checkProduct(const MatmulStep &step);

/// The library on one GPU. Remembers which of its algorithms is best for a
/// problem, which it is slow to say.
class Blas {
public:
  /// What every device keeps free for its products.
  static constexpr uint64_t workspaceBytes = 32 << 20;

  /// `tf32`: f32 products round their operands to 10 bits of mantissa.
  static Result<std::shared_ptr<Blas>> create(const BlasLibrary &library,
                                              const std::shared_ptr<Gpu> &gpu,
                                              bool tf32);
  Blas(const Blas &) = delete;
  ~Blas();

  struct Operands {
    CUdeviceptr a, b, c, bias;
    CUdeviceptr workspace; // workspaceBytes
  };
  Result<std::unique_ptr<GpuOperation>> prepare(const MatmulStep &step,
                                                const Operands &operands);

  size_t knownProblems() const { return algorithms.size(); }

private:
  friend class BlasProduct;
  Blas(const BlasLibrary &library, std::shared_ptr<Gpu> gpu, bool tf32)
      : library(library), gpu(std::move(gpu)), tf32(tf32) {}

  BlasLibrary library;
  std::shared_ptr<Gpu> gpu;
  bool tf32;
  cublasLtHandle_t handle = nullptr;
  std::map<std::vector<int64_t>, cublasLtMatmulAlgo_t> algorithms;
};

} // namespace tpcrt

#endif // TPCRT_DEVICE_CUDA_BLAS_H
