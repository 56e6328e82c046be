// NCCL on the fake machine: ranks in one process, each in its thread or all in
// one. A collective waits in its stream until all ranks of its communicator
// have come to it, and is computed then.
#ifndef TPC_TEST_UNIT_CUDA_FAKENCCL_H
#define TPC_TEST_UNIT_CUDA_FAKENCCL_H

#include "comm/cuda/Nccl.h"

namespace tpcrt::fake {

/// As the library was before 2.27 if it has no `windows`.
NcclLibrary nccl(bool windows = true);
/// What tests have wanted is forgotten.
void resetNccl();

/// From now on communicators report this error, as when a peer is lost.
void setNcclError(ncclResult_t error);

/// How symmetric memory goes wrong for a member.
struct WindowFault {
  enum Kind {
    NoMemory,    // ncclMemAlloc returns an error
    Refused,     // ncclCommWindowRegister returns an error
    Failed,      // the communicator has an error afterwards
    Unsupported, // no error, and no window
  };
  Kind kind;
  uint64_t number; // which call of the function, from 1 on
};
void setWindowFault(WindowFault fault);

} // namespace tpcrt::fake

#endif // TPC_TEST_UNIT_CUDA_FAKENCCL_H
