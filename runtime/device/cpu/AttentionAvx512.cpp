// Attention in f32 with AVX-512.
#include "device/cpu/AttentionBlocks.h"
#include "device/cpu/AttentionF32x16.h"

namespace tpcrt {
namespace {

constexpr AttentionKernels f32 = kernels<NumberProduct<F32x16>>("avx512");

} // namespace

const AttentionKernels *attentionKernelsAvx512(ElementType type) {
  return type == ElementType::F64 ? nullptr : &f32;
}

} // namespace tpcrt
