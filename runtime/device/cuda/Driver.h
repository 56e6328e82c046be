// The CUDA driver's functions, found at run time in libcuda.so.1.
#ifndef TPCRT_DEVICE_CUDA_DRIVER_H
#define TPCRT_DEVICE_CUDA_DRIVER_H

#include "device/cuda/SharedLibrary.h"

#include <cuda.h>

#define TPCRT_DRIVER_FUNCTIONS(FUNCTION)                                       \
  FUNCTION(cuInit)                                                             \
  FUNCTION(cuDriverGetVersion)                                                 \
  FUNCTION(cuGetErrorName)                                                     \
  FUNCTION(cuGetErrorString)                                                   \
  FUNCTION(cuDeviceGetCount)                                                   \
  FUNCTION(cuDeviceGet)                                                        \
  FUNCTION(cuDeviceGetName)                                                    \
  FUNCTION(cuDeviceGetAttribute)                                               \
  FUNCTION(cuDeviceTotalMem)                                                   \
  FUNCTION(cuDeviceCanAccessPeer)                                              \
  FUNCTION(cuDevicePrimaryCtxRetain)                                           \
  FUNCTION(cuDevicePrimaryCtxRelease)                                          \
  FUNCTION(cuCtxPushCurrent)                                                   \
  FUNCTION(cuCtxPopCurrent)                                                    \
  FUNCTION(cuCtxEnablePeerAccess)                                              \
  FUNCTION(cuIpcGetMemHandle)                                                  \
  FUNCTION(cuIpcOpenMemHandle)                                                 \
  FUNCTION(cuIpcCloseMemHandle)                                                \
  FUNCTION(cuMemGetInfo)                                                       \
  FUNCTION(cuMemAlloc)                                                         \
  FUNCTION(cuMemFree)                                                          \
  FUNCTION(cuMemHostAlloc)                                                     \
  FUNCTION(cuMemFreeHost)                                                      \
  FUNCTION(cuMemcpyHtoD)                                                       \
  FUNCTION(cuMemcpyDtoH)                                                       \
  FUNCTION(cuMemcpyHtoDAsync)                                                  \
  FUNCTION(cuMemcpyDtoHAsync)                                                  \
  FUNCTION(cuMemcpyDtoDAsync)                                                  \
  FUNCTION(cuMemsetD8Async)                                                    \
  FUNCTION(cuStreamCreate)                                                     \
  FUNCTION(cuStreamDestroy)                                                    \
  FUNCTION(cuStreamQuery)                                                      \
  FUNCTION(cuStreamWaitEvent)                                                  \
  FUNCTION(cuStreamBeginCapture)                                               \
  FUNCTION(cuStreamEndCapture)                                                 \
  FUNCTION(cuEventCreate)                                                      \
  FUNCTION(cuEventDestroy)                                                     \
  FUNCTION(cuEventRecord)                                                      \
  FUNCTION(cuEventQuery)                                                       \
  FUNCTION(cuEventElapsedTime)                                                 \
  FUNCTION(cuModuleLoadDataEx)                                                 \
  FUNCTION(cuModuleUnload)                                                     \
  FUNCTION(cuModuleGetFunction)                                                \
  FUNCTION(cuLaunchKernel)                                                     \
  FUNCTION(cuGraphInstantiateWithFlags)                                        \
  FUNCTION(cuGraphDestroy)                                                     \
  FUNCTION(cuGraphExecDestroy)                                                 \
  FUNCTION(cuGraphLaunch)

namespace tpcrt {

struct Driver {
  TPCRT_DRIVER_FUNCTIONS(TPCRT_DECLARE_FUNCTION)

  /// Opens the library and initializes the driver. An error where there is
  /// none, or only the toolkit's stub of it.
  static Result<Driver> load();
  /// cuInit with an error that says what to do.
  Result<void> initialize() const;

  /// "cuMemAlloc: out of memory (CUDA_ERROR_OUT_OF_MEMORY)"
  Result<void> check(CUresult result, const char *function) const;
};

} // namespace tpcrt

/// Calls a function of the driver; its Result<void>.
#define TPCRT_CU(driver, function, ...)                                        \
  (driver).check((driver).function(__VA_ARGS__), #function)

#endif // TPCRT_DEVICE_CUDA_DRIVER_H
