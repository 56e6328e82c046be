//===- NormalizeMatmuls.cpp - Contractions become strided products --------===//
//
// A contraction whose dimension groups do not merge (MatmulLayout.h) gets the
// fewest transposes around it that make them merge:
//
//   "m a k, k n b -> m n a b"    m = (m a) does not merge in the result
//     matmul "m a k, k n b -> m a n b", transpose [0, 2, 1, 3]
//
//===----------------------------------------------------------------------===//

#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/MatmulLayout.h"
#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Spmd/Spmd.h"

namespace tpc {
#define GEN_PASS_DEF_NORMALIZEMATMULS
#include "tpc/Codegen/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

using Names = SmallVector<std::string, 5>;

/// Where each name of `to` stands in `from`.
static SmallVector<int64_t> permutationTo(ArrayRef<std::string> from,
                                          ArrayRef<std::string> to) {
  return llvm::map_to_vector(
      to, [&](const std::string &name) { return indexOf(from, name); });
}

static SmallVector<int64_t> permuted(ArrayRef<int64_t> shape,
                                     ArrayRef<int64_t> permutation) {
  return llvm::map_to_vector(permutation,
                             [&](int64_t dim) { return shape[dim]; });
}

static Names concat(std::initializer_list<SmallVector<std::string>> groups) {
  Names names;
  for (const auto &group : groups)
    llvm::append_range(names, group);
  return names;
}

/// The equation with each tensor of `which` (bit 0 lhs, 1 rhs, 2 result) in
/// the order batch, rows, columns.
static Einsum ordered(Einsum einsum, unsigned which) {
  auto batch = einsum.batch(), k = einsum.contracted();
  auto m = einsum.freeOfLhs(), n = einsum.freeOfRhs();
  Einsum result = einsum;
  if (which & 1)
    result.lhs = concat({batch, m, k});
  if (which & 2)
    result.rhs = concat({batch, k, n});
  if (which & 4)
    result.result = concat({batch, m, n});
  return result;
}

static LogicalResult normalize(MatmulOp op) {
  if (layoutOf(op))
    return success();
  Einsum einsum = *Einsum::parse(op.getEquation());
  OpBuilder builder(op);
  CoreBuilder core(builder, op.getLoc());
  // One transpose before two, two before three.
  for (unsigned which : {4, 1, 2, 5, 6, 3, 7}) {
    Einsum next = ordered(einsum, which);
    auto lhsOrder = permutationTo(einsum.lhs, next.lhs);
    auto rhsOrder = permutationTo(einsum.rhs, next.rhs);
    auto lhsShape = permuted(shapeOf(op.getLhs()), lhsOrder);
    auto rhsShape = permuted(shapeOf(op.getRhs()), rhsOrder);
    auto shape = permuted(shapeOf(op.getResult()),
                          permutationTo(einsum.result, next.result));
    StridedValue lhs{{}, 0, rowMajorStrides(lhsShape)};
    StridedValue rhs{{}, 0, rowMajorStrides(rhsShape)};
    if (!computeLayout(next, lhs, lhsShape, rhs, rhsShape, shape))
      continue;
    Value product = MatmulOp::create(
        builder, op.getLoc(),
        RankedTensorType::get(shape, elementOf(op.getResult())),
        core.transpose(op.getLhs(), lhsOrder),
        core.transpose(op.getRhs(), rhsOrder), next.str());
    op.getResult().replaceAllUsesWith(
        core.transpose(product, permutationTo(next.result, einsum.result)));
    op.erase();
    return success();
  }
  return op.emitOpError("is no strided matrix product, transposed or not");
}

namespace {
struct NormalizeMatmuls : tpc::impl::NormalizeMatmulsBase<NormalizeMatmuls> {
  void runOnOperation() override {
    SmallVector<MatmulOp> matmuls;
    for (auto program : getOperation().getOps<spmd::ProgramOp>())
      program.walk([&](MatmulOp op) { matmuls.push_back(op); });
    for (MatmulOp op : matmuls)
      if (failed(normalize(op)))
        return signalPassFailure();
  }
};
} // namespace
