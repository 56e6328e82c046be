//===- Contraction.cpp - Matrix products and reductions -------------------===//
//
// A contraction is brought to the form C[b, m, n] = sum_k A[b, m, k] B[b, k, n]
// by packing both operands; all sums are in double and over k in order.
//
//===----------------------------------------------------------------------===//

#include "Kernels.h"
#include "tpc/Dialect/Tpc/Einsum.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::reference;

using Names = SmallVector<std::string>;

/// Sizes and strides of the named dimensions of a tensor whose dimensions are
/// called `names`.
static std::pair<SmallVector<int64_t>, SmallVector<int64_t>>
dimensions(const Tensor &tensor, ArrayRef<std::string> names,
           ArrayRef<std::string> wanted) {
  SmallVector<int64_t> sizes, strides, all = tensor.strides();
  for (const std::string &name : wanted) {
    int64_t dim = indexOf(names, name);
    sizes.push_back(tensor.shape[dim]);
    strides.push_back(all[dim]);
  }
  return {sizes, strides};
}

/// The elements in the order of the dimensions `wanted`.
static std::vector<double> packed(const Tensor &tensor,
                                  ArrayRef<std::string> names,
                                  ArrayRef<std::string> wanted) {
  auto [sizes, strides] = dimensions(tensor, names, wanted);
  std::vector<double> data(tensor.data.size());
  forEachOffset(sizes, strides, 0, [&](int64_t to, int64_t from) {
    data[to] = tensor.data[from];
  });
  return data;
}

/// c [m, n] += a [m, k] * b [k, n]. Blocks of b stay in the second-level cache
/// while all rows of a pass over them.
static void multiply(const double *a, const double *b, double *c, int64_t m,
                     int64_t k, int64_t n) {
  constexpr int64_t kBlock = 64, nBlock = 512;
  for (int64_t k0 = 0; k0 < k; k0 += kBlock)
    for (int64_t n0 = 0; n0 < n; n0 += nBlock) {
      int64_t k1 = std::min(k, k0 + kBlock), n1 = std::min(n, n0 + nBlock);
      for (int64_t row = 0; row < m; ++row)
        for (int64_t i = k0; i < k1; ++i) {
          double factor = a[row * k + i];
          for (int64_t j = n0; j < n1; ++j)
            c[row * n + j] += factor * b[i * n + j];
        }
    }
}

static void matmul(MatmulOp op, Operands operands, Results results) {
  const Tensor &lhs = *operands[0], &rhs = *operands[1];
  Einsum einsum = *Einsum::parse(op.getEquation());
  Names batch = einsum.batch(), contracted = einsum.contracted();
  Names rows = einsum.freeOfLhs(), columns = einsum.freeOfRhs();
  auto concat = [](const Names &a, const Names &b, const Names &c) {
    Names all = a;
    llvm::append_range(all, b);
    llvm::append_range(all, c);
    return all;
  };
  auto product = [](const Tensor &tensor, ArrayRef<std::string> names,
                    ArrayRef<std::string> wanted) {
    return ShapedType::getNumElements(dimensions(tensor, names, wanted).first);
  };
  int64_t b = product(lhs, einsum.lhs, batch);
  int64_t m = product(lhs, einsum.lhs, rows);
  int64_t k = product(lhs, einsum.lhs, contracted);
  int64_t n = product(rhs, einsum.rhs, columns);

  std::vector<double> left =
      packed(lhs, einsum.lhs, concat(batch, rows, contracted));
  std::vector<double> right =
      packed(rhs, einsum.rhs, concat(batch, contracted, columns));
  std::vector<double> sums(b * m * n, 0.0);
  for (int64_t i = 0; i < b; ++i)
    multiply(left.data() + i * m * k, right.data() + i * k * n,
             sums.data() + i * m * n, m, k, n);

  auto [sizes, strides] =
      dimensions(results[0], einsum.result, concat(batch, rows, columns));
  forEachOffset(sizes, strides, 0, [&](int64_t from, int64_t to) {
    results[0].data[to] = sums[from];
  });
}

static void reduce(ReduceOp op, Operands operands, Results results) {
  std::fill(results[0].data.begin(), results[0].data.end(),
            identity(op.getReduction(), results[0].elementType));
  // Strides of the result along the operand's dimensions, 0 where reduced.
  SmallVector<int64_t> kept = results[0].strides(), strides;
  unsigned next = 0;
  for (int64_t dim = 0; dim < operands[0]->rank(); ++dim)
    strides.push_back(llvm::is_contained(op.getDims(), dim) ? 0 : kept[next++]);
  forEachOffset(operands[0]->shape, strides, 0, [&](int64_t from, int64_t to) {
    results[0].data[to] = combine(op.getReduction(), results[0].data[to],
                                  operands[0]->data[from]);
  });
}

void tpc::reference::registerContraction(KernelTable &table) {
  table.add<MatmulOp>(matmul);
  table.add<ReduceOp>(reduce);
}
