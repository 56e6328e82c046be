// Products of few rows of f32 with AVX-512.
#include "device/cpu/BlockedRows.h"
#include "device/cpu/VectorF32x16.h"

namespace tpcrt {
namespace {

struct Numbers {
  using V = F32x16;
  using Reg = V::Reg;
  static constexpr int64_t pack = 1;
  static constexpr bool asksAhead(int rows) { return rows > 1; }

  static Reg broadcast(const std::byte *a) {
    return V::set1(*reinterpret_cast<const float *>(a));
  }
  static Reg multiplyAdd(Reg a, Reg b, Reg c) { return V::fma(a, b, c); }
};

constexpr BlockedKernels rows = BlockedRows<Numbers>::kernels("rows:avx512");

} // namespace

const BlockedKernels &blockedRowsAvx512() { return rows; }

} // namespace tpcrt
