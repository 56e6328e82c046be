// A matmul step as a matrix library that knows column-major matrices and one
// strided batch computes it.
//
// A row-major matrix is its transpose in column-major order, so that for the
// usual row-major c [m, n] the library computes c^T = b^T a^T:
//
//   step                    library
//   a [m, k] row-major      right: k x m column-major
//   b [k, n] row-major      left:  n x k column-major
//   c [m, n] row-major      result: n x m column-major
//
// Batch dimensions that lie evenly behind each other become one; those that do
// not are left to a loop over calls. A batch dimension that shares one b is
// more rows of a.
#ifndef TPCRT_DEVICE_CUDA_PRODUCTFORM_H
#define TPCRT_DEVICE_CUDA_PRODUCTFORM_H

#include "artifact/Module.h"
#include "tpcrt/Error.h"

namespace tpcrt {

/// A matrix as it is stored: column-major, `columns` that lie `stride` apart.
/// The product takes it transposed if so said.
struct StoredMatrix {
  uint64_t rows = 0, columns = 0;
  int64_t stride = 0;
  bool transposed = false;
};

/// result[rows, columns] = left[rows, inner] * right[inner, columns]
struct ProductForm {
  uint64_t rows = 0, columns = 0, inner = 0;
  StoredMatrix left, right, result;
  /// The result is c transposed: left is b and right is a.
  bool swapped = false;
  /// Strides of a, b and c in elements. `batch` is one call.
  MatmulBatchDim batch{1, 0, 0, 0};
  std::vector<MatmulBatchDim> loops;

  bool empty() const { return rows == 0 || columns == 0 || batch.size == 0; }
};

/// An error for strides that are neither row- nor column-major.
Result<ProductForm> productForm(const MatmulStep &step);

} // namespace tpcrt

#endif // TPCRT_DEVICE_CUDA_PRODUCTFORM_H
