//===- Indexing.cpp - Operations whose positions are data -----------------===//
//
// Tables are seen as [before, v, after] around the indexed dimension, indices
// as a list.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include <cmath>
#include <numeric>

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

namespace {
/// Calls `visit(table offset, other offset, length)` for every run of `after`
/// elements whose index lies within the table; the other tensor is
/// [before, indices, after].
template <typename Visit>
void forEachRow(ArrayRef<int64_t> table, int64_t dim, const Tensor &indices,
                Visit visit) {
  int64_t before = ShapedType::getNumElements(table.take_front(dim));
  int64_t after = ShapedType::getNumElements(table.drop_front(dim + 1));
  int64_t size = table[dim], count = indices.numElements();
  for (int64_t b = 0; b < before; ++b)
    for (int64_t i = 0; i < count; ++i) {
      double index = indices.data[i];
      if (index >= 0 && index < size)
        visit((b * size + static_cast<int64_t>(index)) * after,
              (b * count + i) * after, after);
    }
}
} // namespace

static void gather(GatherOp op, Operands operands, Results results) {
  const Tensor &table = *operands[0];
  forEachRow(table.shape, op.getDim(), *operands[1],
             [&](int64_t from, int64_t to, int64_t length) {
               std::copy_n(table.data.begin() + from, length,
                           results[0].data.begin() + to);
             });
}

static void scatterAdd(ScatterAddOp op, Operands operands, Results results) {
  results[0].data = operands[0]->data;
  forEachRow(operands[0]->shape, op.getDim(), *operands[1],
             [&](int64_t to, int64_t from, int64_t length) {
               for (int64_t i = 0; i < length; ++i)
                 results[0].data[to + i] += operands[2]->data[from + i];
             });
}

/// The first `keep` positions of each row in sorted order: stable, NaN last.
static void sortRows(const Tensor &operand, bool descending, int64_t keep,
                     Results results) {
  int64_t size = operand.shape.back();
  int64_t rows = size == 0 ? 0 : operand.numElements() / size;
  std::vector<int64_t> order(size);
  for (int64_t row = 0; row < rows; ++row) {
    const double *values = operand.data.data() + row * size;
    std::iota(order.begin(), order.end(), 0);
    llvm::sort(order, [&](int64_t i, int64_t j) {
      double x = values[i], y = values[j];
      if (std::isnan(x) != std::isnan(y))
        return std::isnan(y);
      bool equal = x == y || std::isnan(x);
      return equal ? i < j : descending ? x > y : x < y;
    });
    for (int64_t i = 0; i < keep; ++i) {
      results[0].data[row * keep + i] = values[order[i]];
      results[1].data[row * keep + i] = order[i];
    }
  }
}

void tpc::reference::registerIndexing(KernelTable &table) {
  table.add<GatherOp>(gather);
  table.add<ScatterAddOp>(scatterAdd);
  table.add<SortOp>([](SortOp op, Operands operands, Results results) {
    sortRows(*operands[0], op.getDescending(), operands[0]->shape.back(),
             results);
  });
  table.add<TopKOp>([](TopKOp, Operands operands, Results results) {
    sortRows(*operands[0], /*descending=*/true, results[0].shape.back(),
             results);
  });
}
