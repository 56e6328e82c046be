// What a matmul may apply to its sums. Apart from Module.h, since kernels are
// compiled for instruction sets that the rest is not.
#ifndef TPCRT_ARTIFACT_ACTIVATION_H
#define TPCRT_ARTIFACT_ACTIVATION_H

#include <cstdint>

namespace tpcrt {

enum class Activation : uint8_t { None, GeluErf, GeluTanh, Silu, Tanh };

} // namespace tpcrt

#endif // TPCRT_ARTIFACT_ACTIVATION_H
