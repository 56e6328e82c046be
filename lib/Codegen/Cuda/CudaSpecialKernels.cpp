//===- CudaSpecialKernels.cpp - sort and top_k on a GPU -------------------===//
//
// A block has a row. Both orders are total (RowOfPairs), so that the result
// does not depend on which thread comes first.
//
//===----------------------------------------------------------------------===//

#include "../RowOfPairs.h"
#include "CudaKernel.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/MatmulLayout.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tpc;
using P = arith::CmpIPredicate;
using Pair = RowOfPairs::Pair;

/// Rows of so many elements are sorted in shared memory.
constexpr int64_t kSharedElements = 2048;

/// for i = from to `to` in steps of `step`
static void forLoop(LaneOps &ops, Value from, Value to, Value step,
                    llvm::function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(ops.builder, ops.loc, from, to, step);
  OpBuilder::InsertionGuard guard(ops.builder);
  ops.builder.setInsertionPointToStart(loop.getBody());
  body(loop.getInductionVar());
}

//===----------------------------------------------------------------------===//
// sort
//===----------------------------------------------------------------------===//

namespace {

/// Bitonic sort of a row of any length in stages s = 1, 2, ... of steps
/// q = 0, ..., s - 1. Stage s makes sorted runs of 2^s elements out of runs of
/// half the length: its first step compares each element of a run with its
/// mirror image, the others with the element half a part away,
///
///   s = 2, q = 0:  0-3 1-2   4-7 5-6
///          q = 1:  0-1 2-3   4-5 6-7
///
/// always leaving the first in order at the lower place. What would lie behind
/// the row's end comes last, so it need not be there.
class BitonicSort {
public:
  BitonicSort(LaneOps &ops, BlockOps &threads, RowOfPairs &row, int64_t size)
      : ops(ops), threads(threads), row(row), size(size) {}

  void emit() {
    int64_t stages = llvm::Log2_64_Ceil(size);
    Value one = ops.i64(1);
    forLoop(ops, one, ops.i64(stages + 1), one, [&](Value stage) {
      forLoop(ops, ops.i64(0), stage, one, [&](Value step) {
        emitStep(stage, step);
        threads.barrier();
      });
    });
  }

private:
  void emitStep(Value stage, Value step) {
    OpBuilder &b = ops.builder;
    Location loc = ops.loc;
    // Parts of 2^shift elements are compared with the next part.
    Value shift = arith::SubIOp::create(
        b, loc, arith::SubIOp::create(b, loc, stage, step), ops.i64(1));
    Value half = arith::ShLIOp::create(b, loc, ops.i64(1), shift);
    Value last = arith::SubIOp::create(b, loc, half, ops.i64(1));
    Value mirrored = ops.compareIndex(P::eq, step, ops.i64(0));
    int64_t pairs = llvm::PowerOf2Ceil(size) / 2;
    forLoop(ops, threads.thread, ops.i64(pairs), ops.i64(threads.threads),
            [&](Value pair) {
              Value part = arith::ShRUIOp::create(b, loc, pair, shift);
              Value at = arith::AndIOp::create(b, loc, pair, last);
              Value begin =
                  arith::ShLIOp::create(b, loc, ops.mul(part, 2), shift);
              Value next = ops.add(begin, half);
              Value image = arith::SubIOp::create(b, loc, last, at);
              Value low = ops.add(begin, at);
              Value high = ops.add(next, ops.select(mirrored, image, at));
              threads.when(ops.compareIndex(P::slt, high, ops.i64(size)),
                           [&] { order(low, high); });
            });
  }

  void order(Value low, Value high) {
    Pair a = row.load(low), b = row.load(high);
    threads.when(row.before(b, a), [&] {
      row.store(b, low);
      row.store(a, high);
    });
  }

  LaneOps &ops;
  BlockOps &threads;
  RowOfPairs &row;
  int64_t size;
};

} // namespace

void CudaKernel::emitSort(SortOp op) {
  int64_t size = shapeOf(op.getOperand()).back();
  Type element = elementOf(op.getOperand());
  Type positionElement = elementOf(op.getPositions());
  PointIndices indices = domainIndices({}, shape.domain.size());
  Value begin =
      evaluator.offsetOf(indices, rowMajorStrides(shapeOf(op.getOperand())));
  Value source = buffers.lookup(op.getOperand()).pointer;
  RowOfPairs result(ops, outputs[0].pointer, outputs[1].pointer, begin, element,
                    positionElement, op.getDescending());
  auto forElements = [&](llvm::function_ref<void(Value)> body) {
    forLoop(ops, threads.thread, ops.i64(size), ops.i64(threads.threads), body);
  };
  auto sort = [&](RowOfPairs &row) {
    forElements([&](Value i) {
      Value value = ops.load(source, ops.add(begin, i), element, false, {});
      row.store({value, ops.fromIndex(i, positionElement)}, i);
    });
    threads.barrier();
    BitonicSort(ops, threads, row, size).emit();
  };
  if (size > kSharedElements)
    return sort(result);
  RowOfPairs row(ops, threads.shared(ops.storageType(element), size),
                 threads.shared(positionElement, size), ops.i64(0), element,
                 positionElement, op.getDescending());
  sort(row);
  forElements([&](Value i) { result.store(row.load(i), i); });
}

//===----------------------------------------------------------------------===//
// top_k
//===----------------------------------------------------------------------===//

/// Every thread holds the first in order of its elements that is not yet taken.
/// In each of k rounds the block takes the first of these, and the thread that
/// held it looks for its next.
void CudaKernel::emitTopK(TopKOp op) {
  int64_t size = shapeOf(op.getOperand()).back();
  int64_t k = shapeOf(op.getValues()).back();
  Type element = elementOf(op.getOperand());
  Type positionElement = elementOf(op.getPositions());
  PointIndices indices = domainIndices({}, shape.domain.size());
  Value from =
      evaluator.offsetOf(indices, rowMajorStrides(shapeOf(op.getOperand())));
  Value to =
      evaluator.offsetOf(indices, rowMajorStrides(shapeOf(op.getValues())));
  RowOfPairs row(ops, outputs[0].pointer, outputs[1].pointer, to, element,
                 positionElement, /*descending=*/true);
  Value source = buffers.lookup(op.getOperand()).pointer;
  Type valueType = ops.registerType(element);
  Pair none{ops.zero(valueType), ops.i64(size)};
  auto isNone = [&](Pair pair) {
    return ops.compareIndex(P::eq, pair.position, none.position);
  };
  auto choose = [&](Value condition, Pair a, Pair b) -> Pair {
    return {ops.select(condition, a.value, b.value),
            ops.select(condition, a.position, b.position)};
  };
  auto either = [&](Value a, Value b) -> Value {
    return arith::OrIOp::create(builder, loc, a, b);
  };
  // With `after`, only what comes later in order.
  auto firstOfMine = [&](std::optional<Pair> after) -> Pair {
    auto loop = scf::ForOp::create(builder, loc, threads.thread, ops.i64(size),
                                   ops.i64(threads.threads),
                                   ValueRange{none.value, none.position});
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value i = loop.getInductionVar();
    Pair best{loop.getRegionIterArg(0), loop.getRegionIterArg(1)};
    Pair pair{ops.load(source, ops.add(from, i), element, false, {}), i};
    Value better = either(isNone(best), row.before(pair, best));
    if (after)
      better = ops.both(better, row.before(*after, pair));
    best = choose(better, pair, best);
    scf::YieldOp::create(builder, loc, ValueRange{best.value, best.position});
    return {loop.getResult(0), loop.getResult(1)};
  };
  Pair first = firstOfMine(std::nullopt);
  auto loop =
      scf::ForOp::create(builder, loc, ops.i64(0), ops.i64(k), ops.i64(1),
                         ValueRange{first.value, first.position});
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Pair mine{loop.getRegionIterArg(0), loop.getRegionIterArg(1)};
  BlockOps::Values taken = threads.reduce(
      {mine.value, mine.position}, cuda.rowThreads,
      [&](ArrayRef<Value> a, ArrayRef<Value> b) -> BlockOps::Values {
        Pair x{a[0], a[1]}, y{b[0], b[1]};
        Value second = either(
            isNone(x),
            ops.both(row.before(y, x),
                     ops.compareIndex(P::ne, y.position, none.position)));
        Pair winner = choose(second, y, x);
        return {winner.value, winner.position};
      });
  Pair winner{taken[0], taken[1]};
  threads.when(ops.compareIndex(P::eq, threads.thread, ops.i64(0)), [&] {
    row.store({winner.value, ops.fromIndex(winner.position, positionElement)},
              loop.getInductionVar());
  });
  auto next = scf::IfOp::create(
      builder, loc, TypeRange{valueType, builder.getI64Type()},
      ops.compareIndex(P::eq, mine.position, winner.position),
      /*withElse=*/true);
  auto yield = [&](Block *block, llvm::function_ref<Pair()> make) {
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(block);
    Pair pair = make();
    scf::YieldOp::create(builder, loc, ValueRange{pair.value, pair.position});
  };
  yield(next.thenBlock(), [&] { return firstOfMine(winner); });
  yield(next.elseBlock(), [&] { return mine; });
  // The next round's reduction uses the same shared memory.
  threads.barrier();
  scf::YieldOp::create(builder, loc, next.getResults());
}
