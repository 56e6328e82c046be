// NCCL on the fake machine: ranks in one process, each in its thread or all in
// one. A collective waits in its stream until all ranks of its communicator
// have come to it, and is computed then.
#ifndef TPC_TEST_UNIT_CUDA_FAKENCCL_H
#define TPC_TEST_UNIT_CUDA_FAKENCCL_H

#include "comm/cuda/Nccl.h"

namespace tpcrt::fake {

NcclLibrary nccl();

/// From now on communicators report this error, as when a peer is lost.
void setNcclError(ncclResult_t error);

} // namespace tpcrt::fake

#endif // TPC_TEST_UNIT_CUDA_FAKENCCL_H
