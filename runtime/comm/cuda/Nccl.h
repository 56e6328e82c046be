// NCCL's functions, found at run time.
#ifndef TPCRT_COMM_CUDA_NCCL_H
#define TPCRT_COMM_CUDA_NCCL_H

#include "device/cuda/SharedLibrary.h"

#include <nccl.h>

#define TPCRT_NCCL_FUNCTIONS(FUNCTION)                                         \
  FUNCTION(ncclGetVersion)                                                     \
  FUNCTION(ncclGetErrorString)                                                 \
  FUNCTION(ncclGetLastError)                                                   \
  FUNCTION(ncclGetUniqueId)                                                    \
  FUNCTION(ncclCommInitRankConfig)                                             \
  FUNCTION(ncclCommSplit)                                                      \
  FUNCTION(ncclCommFinalize)                                                   \
  FUNCTION(ncclCommDestroy)                                                    \
  FUNCTION(ncclCommAbort)                                                      \
  FUNCTION(ncclCommGetAsyncError)                                              \
  FUNCTION(ncclGroupStart)                                                     \
  FUNCTION(ncclGroupEnd)                                                       \
  FUNCTION(ncclAllReduce)                                                      \
  FUNCTION(ncclAllGather)                                                      \
  FUNCTION(ncclReduceScatter)                                                  \
  FUNCTION(ncclSend)                                                           \
  FUNCTION(ncclRecv)

namespace tpcrt {

struct NcclLibrary {
  TPCRT_NCCL_FUNCTIONS(TPCRT_DECLARE_FUNCTION)

  static Result<NcclLibrary> load();
  /// Success, or in progress, is no error. `comm` may be null.
  Result<void> check(ncclResult_t result, const char *function,
                     ncclComm_t comm = nullptr) const;
};

} // namespace tpcrt

#endif // TPCRT_COMM_CUDA_NCCL_H
