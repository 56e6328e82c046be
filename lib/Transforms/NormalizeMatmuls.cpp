//===- NormalizeMatmuls.cpp - Contractions become strided products --------===//
//
// A contraction whose dimension groups do not merge (MatmulLayout.h) gets the
// fewest transposes around it that make them merge:
//
//   "m a k, k n b -> m n a b"    m = (m a) does not merge in the result
//     matmul "m a k, k n b -> m a n b", transpose [0, 2, 1, 3]
//
// The result of a plan.contract merges by definition, and stays.
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

static LogicalResult normalize(Operation *op, const Contraction &product) {
  if (layoutOf(product))
    return success();
  Einsum einsum = *Einsum::parse(product.equation);
  OpBuilder builder(op);
  CoreBuilder core(builder, op->getLoc());
  // One transpose before two, two before three.
  for (unsigned which : {4, 1, 2, 5, 6, 3, 7}) {
    if (isa<plan::ContractOp>(op) && (which & 4))
      continue;
    Einsum next = ordered(einsum, which);
    auto lhsOrder = permutationTo(einsum.lhs, next.lhs);
    auto rhsOrder = permutationTo(einsum.rhs, next.rhs);
    auto lhsShape = permuted(shapeOf(product.lhs), lhsOrder);
    auto rhsShape = permuted(shapeOf(product.rhs), rhsOrder);
    auto shape = permuted(shapeOf(product.result),
                          permutationTo(einsum.result, next.result));
    StridedValue lhs{{}, 0, rowMajorStrides(lhsShape)};
    StridedValue rhs{{}, 0, rowMajorStrides(rhsShape)};
    if (!computeLayout(next, lhs, lhsShape, rhs, rhsShape, shape))
      continue;
    SmallVector<Value> operands(op->getOperands());
    operands[0] = core.transpose(product.lhs, lhsOrder);
    operands[1] = core.transpose(product.rhs, rhsOrder);
    Operation *merged = builder.clone(*op);
    merged->setOperands(operands);
    merged->setAttr("equation", builder.getStringAttr(next.str()));
    merged->getResult(0).setType(
        RankedTensorType::get(shape, elementOf(product.result)));
    op->getResult(0).replaceAllUsesWith(core.transpose(
        merged->getResult(0), permutationTo(next.result, einsum.result)));
    op->erase();
    return success();
  }
  return op->emitOpError("is no strided matrix product, transposed or not");
}

namespace {
struct NormalizeMatmuls : tpc::impl::NormalizeMatmulsBase<NormalizeMatmuls> {
  void runOnOperation() override {
    SmallVector<Operation *> products;
    for (auto program : getOperation().getOps<spmd::ProgramOp>())
      program.walk([&](Operation *op) {
        if (Contraction::of(op))
          products.push_back(op);
      });
    for (Operation *op : products)
      if (failed(normalize(op, *Contraction::of(op))))
        return signalPassFailure();
  }
};
} // namespace
