#include "device/cpu/MatmulForm.h"

#include "support/Float16.h"

#include <algorithm>
#include <cstdlib>

using namespace tpcrt;

namespace {

/// Whether a step of `outer` goes on where `size` steps of `stride` end; a
/// single step has no stride that could disagree.
bool continues(int64_t outer, uint64_t size, int64_t stride) {
  return size == 1 || outer == int64_t(size) * stride;
}

/// Make a batch dimension part of the rows, or of the columns.
void mergeRows(MatrixView &view, uint64_t size, int64_t stride) {
  if (view.rows == 1)
    view.rowStride = stride;
  view.rows *= size;
}
void mergeCols(MatrixView &view, uint64_t size, int64_t stride) {
  if (view.cols == 1)
    view.colStride = stride;
  view.cols *= size;
}

/// Merges a batch dimension into the rows (where b is the same for all of it),
/// the columns, or its inner neighbour. False if there is none to merge.
bool mergeOne(MatmulForm &form) {
  auto &[a, b, c, batch, swapped] = form;
  for (size_t i = 0; i < batch.size(); ++i) {
    const MatmulBatchDim dim = batch[i];
    if (dim.bStride == 0 && continues(dim.aStride, a.rows, a.rowStride) &&
        continues(dim.cStride, c.rows, c.rowStride)) {
      mergeRows(a, dim.size, dim.aStride);
      mergeRows(c, dim.size, dim.cStride);
      batch.erase(batch.begin() + i);
      return true;
    }
    if (dim.aStride == 0 && continues(dim.bStride, b.cols, b.colStride) &&
        continues(dim.cStride, c.cols, c.colStride)) {
      mergeCols(b, dim.size, dim.bStride);
      mergeCols(c, dim.size, dim.cStride);
      batch.erase(batch.begin() + i);
      return true;
    }
    if (i + 1 == batch.size())
      continue;
    MatmulBatchDim &inner = batch[i + 1];
    if (continues(dim.aStride, inner.size, inner.aStride) &&
        continues(dim.bStride, inner.size, inner.bStride) &&
        continues(dim.cStride, inner.size, inner.cStride)) {
      inner.size *= dim.size;
      batch.erase(batch.begin() + i);
      return true;
    }
  }
  return false;
}

MatrixView transposed(const MatrixView &view) {
  return {view.type, view.cols, view.rows, view.colStride, view.rowStride};
}

template <class T, class Acc>
void runLoops(const MatmulForm &form, const T *a, const T *b, T *c,
              size_t batchDim) {
  if (batchDim < form.batch.size()) {
    const MatmulBatchDim &dim = form.batch[batchDim];
    for (int64_t i = 0; i < int64_t(dim.size); ++i)
      runLoops<T, Acc>(form, a + i * dim.aStride, b + i * dim.bStride,
                       c + i * dim.cStride, batchDim + 1);
    return;
  }
  for (int64_t m = 0; m < int64_t(form.m()); ++m)
    for (int64_t n = 0; n < int64_t(form.n()); ++n) {
      Acc sum{};
      for (int64_t k = 0; k < int64_t(form.k()); ++k)
        sum +=
            static_cast<Acc>(a[m * form.a.rowStride + k * form.a.colStride]) *
            static_cast<Acc>(b[k * form.b.rowStride + n * form.b.colStride]);
      c[m * form.c.rowStride + n * form.c.colStride] = static_cast<T>(sum);
    }
}

template <class T, class Acc>
void runTyped(const MatmulForm &form, const std::byte *a, const std::byte *b,
              std::byte *c) {
  runLoops<T, Acc>(form, reinterpret_cast<const T *>(a),
                   reinterpret_cast<const T *>(b), reinterpret_cast<T *>(c), 0);
}

} // namespace

bool MatmulForm::isEmpty() const {
  for (const MatmulBatchDim &dim : batch)
    if (dim.size == 0)
      return true;
  return m() == 0 || n() == 0;
}

MatmulForm tpcrt::normalize(const MatmulStep &step) {
  MatmulForm form;
  form.a = {step.aType, step.m, step.k, step.aMStride, step.aKStride};
  form.b = {step.bType, step.k, step.n, step.bKStride, step.bNStride};
  form.c = {step.cType, step.m, step.n, step.cMStride, step.cNStride};
  for (const MatmulBatchDim &dim : step.batch)
    if (dim.size != 1)
      form.batch.push_back(dim);
  std::sort(form.batch.begin(), form.batch.end(),
            [](const auto &x, const auto &y) {
              return std::abs(x.cStride) > std::abs(y.cStride);
            });
  if (form.isEmpty())
    return form;
  while (mergeOne(form))
    ;
  if (!step.packB && form.c.colStride != 1 && form.c.rowStride == 1) {
    form.swapped = true;
    std::swap(form.a, form.b);
    form.a = transposed(form.a);
    form.b = transposed(form.b);
    form.c = transposed(form.c);
    for (MatmulBatchDim &dim : form.batch)
      std::swap(dim.aStride, dim.bStride);
  }
  return form;
}

void tpcrt::runSimpleMatmul(const MatmulForm &form, const std::byte *a,
                            const std::byte *b, std::byte *c) {
  // Operands may differ in type only where there is nothing to read of them.
  switch (form.c.type) {
  case ElementType::F32:
    return runTyped<float, float>(form, a, b, c);
  case ElementType::F64:
    return runTyped<double, double>(form, a, b, c);
  case ElementType::BF16:
    return runTyped<BFloat16, float>(form, a, b, c);
  case ElementType::F16:
    return runTyped<Half, float>(form, a, b, c);
  case ElementType::I32:
    return runTyped<uint32_t, uint32_t>(form, a, b, c);
  case ElementType::I64:
    return runTyped<uint64_t, uint64_t>(form, a, b, c);
  case ElementType::Bool:
    return;
  }
}
