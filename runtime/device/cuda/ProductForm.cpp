#include "device/cuda/ProductForm.h"

#include "support/Fail.h"

#include <algorithm>

using namespace tpcrt;

namespace {

/// Rows of a matrix [rows, columns] with these strides.
struct View {
  uint64_t rows, columns;
  int64_t rowStride, columnStride;

  View transposed() const { return {columns, rows, columnStride, rowStride}; }
};

/// The view as stored columns without transposition, if it is that.
std::optional<StoredMatrix> asColumns(const View &view) {
  if (view.rows > 1 && view.rowStride != 1)
    return std::nullopt;
  if (view.columns > 1 && view.columnStride < int64_t(view.rows))
    return std::nullopt;
  int64_t stride = view.columns > 1 ? view.columnStride : view.rows;
  return StoredMatrix{view.rows, view.columns, std::max<int64_t>(stride, 1),
                      false};
}

std::optional<StoredMatrix> asStored(const View &view) {
  if (auto columns = asColumns(view))
    return columns;
  auto rows = asColumns(view.transposed());
  if (rows)
    rows->transposed = true;
  return rows;
}

/// Makes batch dimensions more rows of a where all of them share one b.
void foldIntoRows(std::vector<MatmulBatchDim> &batch, View &a, View &c) {
  while (!batch.empty()) {
    const MatmulBatchDim &inner = batch.back();
    if (inner.bStride != 0)
      return;
    if (a.rows == 1) {
      a.rowStride = inner.aStride;
      c.rowStride = inner.cStride;
    } else if (inner.aStride != int64_t(a.rows) * a.rowStride ||
               inner.cStride != int64_t(a.rows) * c.rowStride) {
      return;
    }
    a.rows = c.rows = a.rows * inner.size;
    batch.pop_back();
  }
}

/// Dimensions that lie evenly behind each other become one.
std::vector<MatmulBatchDim> mergeDims(const std::vector<MatmulBatchDim> &dims) {
  std::vector<MatmulBatchDim> merged;
  for (const MatmulBatchDim &dim : dims) {
    int64_t size = dim.size;
    if (size == 1)
      continue;
    MatmulBatchDim *outer = merged.empty() ? nullptr : &merged.back();
    if (outer && outer->aStride == size * dim.aStride &&
        outer->bStride == size * dim.bStride &&
        outer->cStride == size * dim.cStride)
      *outer = {outer->size * dim.size, dim.aStride, dim.bStride, dim.cStride};
    else
      merged.push_back(dim);
  }
  return merged;
}

std::optional<ProductForm> formOf(const View &a, const View &b, const View &c,
                                  std::vector<MatmulBatchDim> batch,
                                  bool hasBias) {
  ProductForm form;
  // A bias goes along n, which must be the result's rows.
  form.swapped = true;
  auto result = asColumns(c.transposed());
  if (!result && !hasBias) {
    form.swapped = false;
    result = asColumns(c);
  }
  auto left = asStored(form.swapped ? b.transposed() : a);
  auto right = asStored(form.swapped ? a.transposed() : b);
  if (!left || !right || !result)
    return std::nullopt;
  form.left = *left;
  form.right = *right;
  form.result = *result;
  form.rows = result->rows;
  form.columns = result->columns;
  form.inner = a.columns;
  if (!batch.empty()) {
    auto largest = std::ranges::max_element(batch, {}, &MatmulBatchDim::size);
    form.batch = *largest;
    batch.erase(largest);
    form.loops = std::move(batch);
  }
  return form;
}

} // namespace

Result<ProductForm> tpcrt::productForm(const MatmulStep &step) {
  const View a{step.m, step.k, step.aMStride, step.aKStride};
  const View b{step.k, step.n, step.bKStride, step.bNStride};
  const View c{step.m, step.n, step.cMStride, step.cNStride};
  const std::vector<MatmulBatchDim> batch = mergeDims(step.batch);
  const bool hasBias = step.epilogue.bias.has_value();

  View folded = a, foldedResult = c;
  std::vector<MatmulBatchDim> rest = batch;
  foldIntoRows(rest, folded, foldedResult);
  if (auto form = formOf(folded, b, foldedResult, std::move(rest), hasBias))
    return *form;
  if (auto form = formOf(a, b, c, batch, hasBias))
    return *form;
  return fail("expected operands of which one dimension is contiguous and the "
              "other apart, found strides a [{}, {}], b [{}, {}], c [{}, {}]",
              step.aMStride, step.aKStride, step.bKStride, step.bNStride,
              step.cMStride, step.cNStride);
}
