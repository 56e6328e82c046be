//===- MatmulLayout.h - Contractions as strided products --------*- C++ -*-===//
//
// An einsum is a strided matrix product when its free, contracted and batch
// dimensions each step through memory evenly. Dimensions of size 1 are
// dropped, the rest of a group must merge into one stride:
//
//   "b s e, e h d -> b s h d"    m = (b s), k = e, n = (h d)
//   "b s k g d, b t k d -> b k g s t", g of size 1: batch (b, k), m = s, n = t,
//                                k = d; a steps by (s: k*d, d: 1)
//
// Transposes and slices of an operand are strides too: no copy.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_CODEGEN_MATMULLAYOUT_H
#define TPC_CODEGEN_MATMULLAYOUT_H

#include "tpc/Dialect/Plan/Plan.h"
#include "tpc/Dialect/Tpc/Einsum.h"

namespace tpc {

/// A tensor as elements offset + sum(i_d * strides[d]) of `base` in row-major
/// order.
struct StridedValue {
  mlir::Value base;
  int64_t offset = 0;
  llvm::SmallVector<int64_t> strides;
};

/// Strides of a row-major tensor.
llvm::SmallVector<int64_t> rowMajorStrides(llvm::ArrayRef<int64_t> shape);

/// `value` as it lies in its own memory.
StridedValue asStored(mlir::Value value);
/// `value` seen through the transposes, slices and reshapes that make it.
StridedValue throughViews(mlir::Value value);

/// c[batch, m, n] = sum_k a[batch, m, k] * b[batch, k, n]; in elements.
struct MatmulLayout {
  StridedValue lhs, rhs;
  int64_t m = 1, n = 1, k = 1;
  int64_t aM = 1, aK = 1, bK = 1, bN = 1, cM = 1, cN = 1;
  llvm::SmallVector<int64_t> batch, batchA, batchB, batchC;
};

/// The layout of a contraction of these operands, or nothing when a group of
/// dimensions does not merge or a matrix has no unit stride.
std::optional<MatmulLayout> computeLayout(const Einsum &einsum,
                                          const StridedValue &lhs,
                                          llvm::ArrayRef<int64_t> lhsShape,
                                          const StridedValue &rhs,
                                          llvm::ArrayRef<int64_t> rhsShape,
                                          llvm::ArrayRef<int64_t> resultShape);

/// Operations that become matmul steps: tpc.matmul, and plan.contract, which
/// does more to the product. Both have the operands first.
struct Contraction {
  mlir::Value lhs, rhs, result;
  llvm::StringRef equation;

  static std::optional<Contraction> of(mlir::Operation *op);
};

/// The layout of the product, through views where that works.
std::optional<MatmulLayout> layoutOf(const Contraction &product);

} // namespace tpc

#endif // TPC_CODEGEN_MATMULLAYOUT_H
