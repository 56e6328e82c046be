// A matmul step in normal form: with as few batch dimensions as its strides
// allow.
//
//   batch of size 1:                        dropped
//   [B,S,K] x [K,N] (b not batched):        [B*S,K] x [K,N]
//   two batch dimensions that step as one:  merged
//   c column-major:                         a and b exchanged, if the step has
//                                           no epilogue
//
// A batch dimension is not merged into the columns of a step with a bias.
#ifndef TPCRT_DEVICE_CPU_MATMULFORM_H
#define TPCRT_DEVICE_CPU_MATMULFORM_H

#include "artifact/Module.h"

namespace tpcrt {

/// A matrix of rows x cols elements, strides in elements.
struct MatrixView {
  ElementType type = ElementType::F32;
  uint64_t rows = 0, cols = 0;
  int64_t rowStride = 0, colStride = 0;

  friend bool operator==(const MatrixView &, const MatrixView &) = default;
};

struct MatmulForm {
  MatrixView a, b, c;
  std::vector<MatmulBatchDim> batch;
  bool swapped = false; // a is the step's b, and b its a
  Activation activation = Activation::None;

  uint64_t m() const { return c.rows; }
  uint64_t n() const { return c.cols; }
  uint64_t k() const { return a.cols; }
  bool isEmpty() const;
};

MatmulForm normalize(const MatmulStep &step);

/// The bias as a matrix of one row.
inline MatrixView biasView(const MatmulForm &form) {
  return {form.c.type, 1, form.n(), int64_t(form.n()), 1};
}

/// Where a matmul's operands lie; bias is null if it has none.
struct MatmulPointers {
  const std::byte *a = nullptr, *b = nullptr;
  std::byte *c = nullptr;
  const std::byte *bias = nullptr;
};

/// The product and its epilogue by plain loops: f64 in f64, integers exactly
/// (wrapping), other types in f32. For what the library has no kernel for, and
/// for k = 0.
void runSimpleMatmul(const MatmulForm &form, const MatmulPointers &at);

/// The epilogue by plain loops, without batch dimensions but `batch`: from
/// dense f32 `sums` [batch, m, n] to c. For what the library refuses.
void runEpilogue(const MatmulForm &form, const MatmulBatchDim &batch,
                 const float *sums, const MatmulPointers &at);

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_MATMULFORM_H
