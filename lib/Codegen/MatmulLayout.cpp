//===- MatmulLayout.cpp - Contractions as strided products ----------------===//

#include "tpc/Codegen/MatmulLayout.h"
#include "tpc/Codegen/CoreBuilder.h"

using namespace mlir;
using namespace tpc;

SmallVector<int64_t> tpc::rowMajorStrides(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (int64_t i = shape.size(); i-- > 0; stride *= shape[i])
    strides[i] = stride;
  return strides;
}

StridedValue tpc::asStored(Value value) {
  return {value, 0, rowMajorStrides(shapeOf(value))};
}

StridedValue tpc::throughViews(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto transpose = dyn_cast_or_null<TransposeOp>(op)) {
    StridedValue from = throughViews(transpose.getOperand());
    SmallVector<int64_t> strides;
    for (int64_t dim : transpose.getPermutation())
      strides.push_back(from.strides[dim]);
    return {from.base, from.offset, strides};
  }
  if (auto slice = dyn_cast_or_null<SliceOp>(op)) {
    StridedValue from = throughViews(slice.getOperand());
    for (auto [offset, stride] :
         llvm::zip_equal(slice.getOffsets(), from.strides))
      from.offset += offset * stride;
    return from;
  }
  if (auto reshape = dyn_cast_or_null<ReshapeOp>(op)) {
    StridedValue from = throughViews(reshape.getOperand());
    if (ArrayRef(from.strides) ==
        ArrayRef(rowMajorStrides(shapeOf(reshape.getOperand()))))
      return {from.base, from.offset, rowMajorStrides(shapeOf(value))};
  }
  return asStored(value);
}

namespace {

/// A tensor's sizes and strides by dimension name; size 1 left out.
struct NamedDims {
  llvm::StringMap<int64_t> sizes, strides;

  NamedDims(ArrayRef<std::string> names, ArrayRef<int64_t> shape,
            ArrayRef<int64_t> allStrides) {
    for (auto [name, size, stride] : llvm::zip_equal(names, shape, allStrides))
      if (size != 1) {
        sizes[name] = size;
        strides[name] = stride;
      }
  }
};

/// A group of dimensions as one, seen in two tensors.
struct MergedDim {
  int64_t size = 1, first = 1, second = 1;
};

} // namespace

/// Merges the named dimensions into one, if both tensors step through them
/// evenly and in the same order.
static std::optional<MergedDim> merge(SmallVector<std::string> names,
                                      NamedDims &first, NamedDims &second) {
  llvm::erase_if(names,
                 [&](const std::string &n) { return !first.sizes.count(n); });
  llvm::sort(names, [&](const std::string &a, const std::string &b) {
    return std::pair(first.strides[b], b) < std::pair(first.strides[a], a);
  });
  MergedDim merged;
  for (const std::string &name : llvm::reverse(names)) {
    if (merged.size == 1) {
      merged.first = first.strides[name];
      merged.second = second.strides[name];
    } else if (first.strides[name] != merged.first * merged.size ||
               second.strides[name] != merged.second * merged.size) {
      return std::nullopt;
    }
    merged.size *= first.sizes[name];
  }
  return merged;
}

/// Gives a dimension of size 1 the stride that makes the matrix row- or
/// column-major; false when no stride is 1.
static bool settleStrides(int64_t rows, int64_t &rowStride, int64_t cols,
                          int64_t &colStride) {
  if (cols == 1)
    colStride = rowStride == 1 ? rows : 1;
  if (rows == 1)
    rowStride = colStride == 1 ? cols : 1;
  return rowStride == 1 || colStride == 1;
}

std::optional<MatmulLayout>
tpc::computeLayout(const Einsum &einsum, const StridedValue &lhs,
                   ArrayRef<int64_t> lhsShape, const StridedValue &rhs,
                   ArrayRef<int64_t> rhsShape, ArrayRef<int64_t> resultShape) {
  NamedDims a(einsum.lhs, lhsShape, lhs.strides);
  NamedDims b(einsum.rhs, rhsShape, rhs.strides);
  NamedDims c(einsum.result, resultShape, rowMajorStrides(resultShape));
  MatmulLayout layout;
  layout.lhs = lhs;
  layout.rhs = rhs;
  for (const std::string &name : einsum.batch())
    if (a.sizes.count(name)) {
      layout.batch.push_back(a.sizes[name]);
      layout.batchA.push_back(a.strides[name]);
      layout.batchB.push_back(b.strides[name]);
      layout.batchC.push_back(c.strides[name]);
    }
  auto m = merge(einsum.freeOfLhs(), a, c);
  auto n = merge(einsum.freeOfRhs(), b, c);
  auto k = merge(einsum.contracted(), a, b);
  if (!m || !n || !k)
    return std::nullopt;
  layout.m = m->size, layout.aM = m->first, layout.cM = m->second;
  layout.n = n->size, layout.bN = n->first, layout.cN = n->second;
  layout.k = k->size, layout.aK = k->first, layout.bK = k->second;
  if (!settleStrides(layout.m, layout.aM, layout.k, layout.aK) ||
      !settleStrides(layout.k, layout.bK, layout.n, layout.bN) ||
      !settleStrides(layout.m, layout.cM, layout.n, layout.cN))
    return std::nullopt;
  return layout;
}

std::optional<Contraction> Contraction::of(Operation *op) {
  return TypeSwitch<Operation *, std::optional<Contraction>>(op)
      .Case<MatmulOp, plan::ContractOp>([](auto op) {
        return Contraction{op.getLhs(), op.getRhs(), op.getResult(),
                           op.getEquation()};
      })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<MatmulLayout> tpc::layoutOf(const Contraction &product) {
  std::optional<Einsum> einsum = Einsum::parse(product.equation);
  Value lhs = product.lhs, rhs = product.rhs;
  for (const StridedValue &a : {throughViews(lhs), asStored(lhs)})
    for (const StridedValue &b : {throughViews(rhs), asStored(rhs)})
      if (auto layout = computeLayout(*einsum, a, shapeOf(lhs), b, shapeOf(rhs),
                                      shapeOf(product.result)))
        return layout;
  return std::nullopt;
}
