// Kernels that reduce the members' buffers elementwise, as PTX text. They do
// what comm/Reduce.h does on the host: in the order of the members, bf16 and
// f16 in f32 and rounded once, NaN wins, integers wrap, bool by or and and.
#ifndef TPCRT_COMM_CUDA_REDUCEKERNELS_H
#define TPCRT_COMM_CUDA_REDUCEKERNELS_H

#include "artifact/Module.h"

#include <string>

namespace tpcrt {

/// The kernels of all types and reductions, for sm_80 and newer:
///   name(u64 srcs, u64 dsts, u32 members, u32 results, u64 offset, u64 count)
/// with tables of addresses `srcs` [members] and `dsts` [results] computes
///   dsts[r][i] = reduce over m of srcs[m][offset + i], 0 <= i < count
/// for every r on any number of blocks and threads. An element is read from all
/// members before it is written, so a dst may be a src.
std::string reduceKernels();
constexpr const char *reduceFamily = "reduce"; // of their names

} // namespace tpcrt

#endif // TPCRT_COMM_CUDA_REDUCEKERNELS_H
