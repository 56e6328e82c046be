// Where the CUDA device gets its libraries from: found at run time, or what
// tests put in their place.
#ifndef TPCRT_DEVICE_CUDA_LIBRARIES_H
#define TPCRT_DEVICE_CUDA_LIBRARIES_H

#include "comm/cuda/Nccl.h"
#include "device/cuda/Blas.h"
#include "device/cuda/Driver.h"

namespace tpcrt {

struct CudaLibraries {
  std::function<Result<Driver>()> driver = Driver::load;
  std::function<Result<BlasLibrary>()> blas = BlasLibrary::load;
  std::function<Result<NcclLibrary>()> nccl = NcclLibrary::load;
};

/// Those of the process. Change them before anything is loaded.
CudaLibraries &cudaLibraries();

} // namespace tpcrt

#endif // TPCRT_DEVICE_CUDA_LIBRARIES_H
