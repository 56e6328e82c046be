// NCCL's functions, found at run time, and how a member of a group calls them.
#ifndef TPCRT_COMM_CUDA_NCCL_H
#define TPCRT_COMM_CUDA_NCCL_H

#include "comm/cuda/StreamCommunicator.h"
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

/// Of symmetric memory (SymmetricMemory.h), since 2.27.
#define TPCRT_NCCL_WINDOW_FUNCTIONS(FUNCTION)                                  \
  FUNCTION(ncclMemAlloc)                                                       \
  FUNCTION(ncclMemFree)                                                        \
  FUNCTION(ncclCommWindowRegister)                                             \
  FUNCTION(ncclCommWindowDeregister)

namespace tpcrt {

struct NcclLibrary {
  TPCRT_NCCL_FUNCTIONS(TPCRT_DECLARE_FUNCTION)
  // Null where the library has none.
  TPCRT_NCCL_WINDOW_FUNCTIONS(TPCRT_DECLARE_FUNCTION)

  static Result<NcclLibrary> load();
  bool hasWindows() const;
  /// Success, or in progress, is no error. `comm` may be null.
  Result<void> check(ncclResult_t result, const char *function,
                     ncclComm_t comm = nullptr) const;

  /// A GPU as a member of a group of devices.
  struct Member {
    ncclComm_t comm;
    CUstream stream;
    uint64_t index;
  };
  /// Puts the member's part of a collective into its stream.
  Result<void> enqueue(const CollectiveOp &op, const Member &member,
                       StreamCommunicator::Buffers buffers) const;

private:
  Result<void> enqueueMessages(const CollectiveOp &op, const Member &member,
                               StreamCommunicator::Buffers buffers) const;
};

#define TPCRT_NCCL(library, function, ...)                                     \
  (library).check((library).function(__VA_ARGS__), #function)

} // namespace tpcrt

#endif // TPCRT_COMM_CUDA_NCCL_H
