//===- FlattenCollectives.cpp - Layout changes around collectives ---------===//
//
// The runtime's collectives move contiguous chunks. One along an inner
// dimension becomes a flat one between layout changes:
//
//   all_gather dim 1 : 8x16 -> 8x64 over 4
//     reshape 1x8x16, all_gather dim 0 -> 4x8x16, transpose -> 8x4x16,
//     reshape 8x64
//
// Uneven blocks are padded before (reduce_scatter, all_to_all) or cut after
// (all_gather). Transposes that only move dimensions of size 1 are reshapes,
// and those cost nothing: an outermost, even dimension needs no kernel.
//
//===----------------------------------------------------------------------===//

#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/FlatCollectives.h"
#include "tpc/Codegen/Passes.h"
#include "tpc/Dialect/Spmd/Spmd.h"

namespace tpc {
#define GEN_PASS_DEF_FLATTENCOLLECTIVES
#include "tpc/Codegen/Passes.h.inc"
} // namespace tpc

using namespace mlir;
using namespace tpc;

using Shape = SmallVector<int64_t>;

/// Whether every dimension before `dim` has size 1.
static bool isOutermost(Value x, int64_t dim) {
  return llvm::all_of(shapeOf(x).take_front(dim),
                      [](int64_t size) { return size == 1; });
}

bool tpc::isFlat(Operation *collective, int64_t n) {
  return TypeSwitch<Operation *, bool>(collective)
      .Case([&](spmd::AllGatherOp op) {
        int64_t dim = op.getDim();
        return isOutermost(op.getResult(), dim) &&
               shapeOf(op.getResult())[dim] ==
                   n * shapeOf(op.getOperand())[dim];
      })
      .Case([&](spmd::ReduceScatterOp op) {
        int64_t dim = op.getDim();
        return isOutermost(op.getResult(), dim) &&
               shapeOf(op.getOperand())[dim] ==
                   n * shapeOf(op.getResult())[dim];
      })
      .Case([&](spmd::AllToAllOp op) {
        ArrayRef<int64_t> from = shapeOf(op.getOperand());
        return op.getSplitDim() == 0 && op.getConcatDim() == 1 &&
               from.size() == 3 && from[0] == n && from[1] == 1 &&
               shapeOf(op.getResult())[1] == n;
      })
      .Case<spmd::AllReduceOp, spmd::PermuteOp>([](auto) { return true; });
}

/// [a, n*c, b] -> [n, a, c, b] for dimension `dim` of n*c.
static Value chunksFirst(CoreBuilder &core, Value x, int64_t dim, int64_t n) {
  Shape shape(shapeOf(x)), permutation{dim};
  shape[dim] /= n;
  shape.insert(shape.begin() + dim, n);
  for (int64_t i = 0, rank = shape.size(); i < rank; ++i)
    if (i != dim)
      permutation.push_back(i);
  return core.transpose(core.reshape(x, shape), permutation);
}

/// [n, a, c, b] -> [a, n*c, b] for the dimension `dim` of n*c.
static Value chunksInto(CoreBuilder &core, Value x, int64_t dim) {
  Shape shape(shapeOf(x)), permutation;
  int64_t n = shape.front();
  shape.erase(shape.begin());
  for (int64_t i = 1, rank = shape.size(); i <= rank; ++i) {
    if (i == dim + 1)
      permutation.push_back(0);
    permutation.push_back(i);
  }
  shape[dim] *= n;
  return core.reshape(core.transpose(x, permutation), shape);
}

static Shape withFront(ArrayRef<int64_t> shape, int64_t front) {
  Shape result{front};
  llvm::append_range(result, shape);
  return result;
}

static Value flatten(spmd::AllGatherOp op, int64_t n) {
  OpBuilder builder(op);
  CoreBuilder core(builder, op.getLoc());
  int64_t dim = op.getDim(), size = shapeOf(op.getResult())[dim];
  ArrayRef<int64_t> local = shapeOf(op.getOperand());
  Value x = core.reshape(op.getOperand(), withFront(local, 1));
  Value gathered = spmd::AllGatherOp::create(
      builder, op.getLoc(),
      RankedTensorType::get(withFront(local, n), elementOf(x)), x,
      builder.getI64IntegerAttr(0), op.getAxesAttr(), op.getOriginAttr());
  return core.cutTo(chunksInto(core, gathered, dim), dim, size);
}

static Value flatten(spmd::ReduceScatterOp op, int64_t n) {
  OpBuilder builder(op);
  CoreBuilder core(builder, op.getLoc());
  int64_t dim = op.getDim();
  ArrayRef<int64_t> local = shapeOf(op.getResult());
  Value padded = core.padTo(op.getOperand(), dim, n * local[dim]);
  Value x = chunksFirst(core, padded, dim, n);
  Value scattered = spmd::ReduceScatterOp::create(
      builder, op.getLoc(),
      RankedTensorType::get(withFront(local, 1), elementOf(x)),
      op.getReductionAttr(), x, builder.getI64IntegerAttr(0), op.getAxesAttr(),
      op.getOriginAttr());
  return core.reshape(scattered, local);
}

static Value flatten(spmd::AllToAllOp op, int64_t n) {
  OpBuilder builder(op);
  CoreBuilder core(builder, op.getLoc());
  int64_t split = op.getSplitDim(), concat = op.getConcatDim();
  RankedTensorType to = tensorType(op.getResult());
  // Chunk j along the split dimension goes to member j ...
  int64_t block = to.getDimSize(split);
  Value chunks = chunksFirst(
      core, core.padTo(op.getOperand(), split, block * n), split, n);
  Shape chunk(shapeOf(chunks).drop_front());
  int64_t rest = ShapedType::getNumElements(chunk);
  Value x = core.reshape(chunks, {n, 1, rest});
  Value exchanged = spmd::AllToAllOp::create(
      builder, op.getLoc(), RankedTensorType::get({1, n, rest}, elementOf(x)),
      x, builder.getI64IntegerAttr(0), builder.getI64IntegerAttr(1),
      op.getAxesAttr(), op.getOriginAttr());
  // ... and the members' chunks follow each other along the concat dimension.
  Value result =
      chunksInto(core, core.reshape(exchanged, withFront(chunk, n)), concat);
  return core.cutTo(result, concat, to.getDimSize(concat));
}

namespace {
struct FlattenCollectives
    : tpc::impl::FlattenCollectivesBase<FlattenCollectives> {
  void runOnOperation() override {
    FailureOr<Mesh> mesh = lookupMesh(getOperation());
    if (failed(mesh))
      return signalPassFailure();
    getOperation()->walk([&](Operation *op) {
      Value replacement =
          TypeSwitch<Operation *, Value>(op)
              .Case<spmd::AllGatherOp, spmd::ReduceScatterOp, spmd::AllToAllOp>(
                  [&](auto op) {
                    int64_t n = mesh->size(op.getAxes().getAxes());
                    return isFlat(op, n) ? Value() : flatten(op, n);
                  })
              .Default([](Operation *) { return Value(); });
      if (!replacement)
        return;
      op->getResult(0).replaceAllUsesWith(replacement);
      op->erase();
    });
  }
};
} // namespace
