// Attention in f32 with AVX-512.
#include "device/cpu/AttentionBlocks.h"
#include "device/cpu/AttentionRows.h"
#include "device/cpu/VectorF32x16.h"

namespace tpcrt {
namespace {

constexpr AttentionKernels blocks = kernels<NumberProduct<F32x16>>("avx512");
template <ElementType Type>
constexpr AttentionKernels rows = FewRows<F32x16, Type>::kernels("avx512_rows");

} // namespace

const AttentionKernels *attentionAvx512(ElementType type) {
  return type == ElementType::F64 ? nullptr : &blocks;
}

const AttentionKernels *attentionAvx512Rows(ElementType type) {
  return type == ElementType::F32    ? &rows<ElementType::F32>
         : type == ElementType::BF16 ? &rows<ElementType::BF16>
         : type == ElementType::F16  ? &rows<ElementType::F16>
                                     : nullptr;
}

} // namespace tpcrt
