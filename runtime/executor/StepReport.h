// What a step is, in words for profiles.
#ifndef TPCRT_EXECUTOR_STEPREPORT_H
#define TPCRT_EXECUTOR_STEPREPORT_H

#include "artifact/Module.h"

namespace tpcrt {

/// Kind and sizes of a step, with what computes it:
///   {"matmul", "1x 16x64x64 bias gelu_erf jit:avx512"}
std::pair<std::string, std::string> describeStep(const Step &step,
                                                 std::string_view by);

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_STEPREPORT_H
