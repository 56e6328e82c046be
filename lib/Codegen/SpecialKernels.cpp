//===- SpecialKernels.cpp - scatter_add, sort and top_k on a CPU ----------===//

#include "KernelEmitter.h"
#include "RowOfPairs.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/MatmulLayout.h"

using namespace mlir;
using namespace tpc;
using P = arith::CmpIPredicate;

void KernelEmitter::emitSpecial() {
  llvm::TypeSwitch<Operation *>(body.ops.front())
      .Case([&](ScatterAddOp op) { emitScatterAdd(op); })
      .Case([&](SortOp op) { emitSort(op); })
      .Case([&](TopKOp op) { emitTopK(op); });
}

//===----------------------------------------------------------------------===//
// scatter_add
//===----------------------------------------------------------------------===//

/// A tile is a row of the operand's dimensions without the indexed one: no two
/// tiles touch the same element.
void KernelEmitter::emitScatterAdd(ScatterAddOp op) {
  int64_t extent = shape.lanes.extent, whole = extent / ops.lanes * ops.lanes;
  if (whole > 0) {
    auto loop = scf::ForOp::create(builder, loc, ops.i64(0), ops.i64(whole),
                                   ops.i64(ops.lanes));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    scatterAdd(op, loop.getInductionVar(), {});
  }
  if (extent > whole)
    scatterAdd(op, ops.i64(whole), ops.firstLanes(extent - whole));
}

//===----------------------------------------------------------------------===//
// Sorting
//===----------------------------------------------------------------------===//

namespace {

/// A while loop over one i64 that goes on while `step` says so; `step` returns
/// (go on, next).
void whileLoop(LaneOps &ops, Value initial,
               llvm::function_ref<std::pair<Value, Value>(Value)> step) {
  OpBuilder &builder = ops.builder;
  Type types[] = {builder.getI64Type()};
  OpBuilder::InsertionGuard guard(builder);
  auto loop = scf::WhileOp::create(builder, ops.loc, types, initial);
  Block *before = builder.createBlock(&loop.getBefore(), {}, types, {ops.loc});
  builder.setInsertionPointToStart(before);
  auto [goOn, next] = step(before->getArgument(0));
  scf::ConditionOp::create(builder, ops.loc, goOn, next);
  Block *after = builder.createBlock(&loop.getAfter(), {}, types, {ops.loc});
  builder.setInsertionPointToStart(after);
  scf::YieldOp::create(builder, ops.loc, after->getArguments());
}

/// Moves the pair at `root` down the heap of `size` pairs, in which no child
/// comes after its parent in the order.
void siftDown(LaneOps &ops, RowOfPairs &row, Value root, Value size) {
  OpBuilder &builder = ops.builder;
  whileLoop(ops, root, [&](Value parent) -> std::pair<Value, Value> {
    Value left = ops.add(ops.mul(parent, 2), ops.i64(1));
    Value right = ops.add(left, ops.i64(1));
    Value hasLeft = ops.compareIndex(P::slt, left, size);
    Value safeLeft = ops.select(hasLeft, left, parent);
    Value hasRight = ops.compareIndex(P::slt, right, size);
    Value safeRight = ops.select(hasRight, right, safeLeft);
    RowOfPairs::Pair l = row.load(safeLeft), r = row.load(safeRight);
    Value rightLater = row.before(l, r);
    Value child = ops.select(rightLater, safeRight, safeLeft);
    RowOfPairs::Pair c = row.load(child), p = row.load(parent);
    Value swap = row.before(p, c);
    auto branch = scf::IfOp::create(builder, ops.loc, swap, false);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    row.store(c, parent);
    row.store(p, child);
    return {swap, child};
  });
}

} // namespace

/// Heap sort on (value, position), which makes it stable.
void KernelEmitter::emitSort(SortOp op) {
  int64_t size = shapeOf(op.getOperand()).back();
  Type element = elementOf(op.getOperand());
  Type positionElement = elementOf(op.getPositions());
  PointIndices indices = domainIndices({}, shape.domain.size());
  Value begin =
      evaluator.offsetOf(indices, rowMajorStrides(shapeOf(op.getOperand())));
  RowOfPairs row(ops, outputs[0].pointer, outputs[1].pointer, begin, element,
                 positionElement, op.getDescending());
  auto loopDown = [&](int64_t from, llvm::function_ref<void(Value)> emitStep) {
    // i = from - 1, ..., 0
    auto loop =
        scf::ForOp::create(builder, loc, ops.i64(0), ops.i64(from), ops.i64(1));
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    emitStep(arith::SubIOp::create(builder, loc, ops.i64(from - 1),
                                   loop.getInductionVar()));
  };
  Value source = buffers.lookup(op.getOperand()).pointer;
  loopDown(size, [&](Value i) {
    Value value = ops.load(source, ops.add(begin, i), element, false, {});
    row.store({value, ops.fromIndex(i, positionElement)}, i);
  });
  loopDown(size / 2, [&](Value i) { siftDown(ops, row, i, ops.i64(size)); });
  loopDown(size, [&](Value end) {
    RowOfPairs::Pair first = row.load(ops.i64(0)), last = row.load(end);
    row.store(last, ops.i64(0));
    row.store(first, end);
    siftDown(ops, row, ops.i64(0), end);
  });
}

/// Insertion into the list of the k largest so far; most elements of a long
/// row are smaller than all of them and cost one comparison.
void KernelEmitter::emitTopK(TopKOp op) {
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
                 positionElement,
                 /*descending=*/true);
  Value source = buffers.lookup(op.getOperand()).pointer;
  auto loop =
      scf::ForOp::create(builder, loc, ops.i64(0), ops.i64(size), ops.i64(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value i = loop.getInductionVar();
  RowOfPairs::Pair pair{ops.load(source, ops.add(from, i), element, false, {}),
                        ops.fromIndex(i, positionElement)};
  // The list has min(i, k) entries. With k entries, the last must give way.
  Value isFull = ops.compareIndex(P::sge, i, ops.i64(k));
  Value last = ops.i64(k - 1);
  auto enters = scf::IfOp::create(builder, loc, builder.getI1Type(), isFull,
                                  /*withElse=*/true);
  builder.setInsertionPointToStart(enters.thenBlock());
  scf::YieldOp::create(builder, loc, row.before(pair, row.load(last)));
  builder.setInsertionPointToStart(enters.elseBlock());
  scf::YieldOp::create(builder, loc,
                       ValueRange{arith::ConstantOp::create(
                           builder, loc, builder.getBoolAttr(true))});
  builder.setInsertionPointAfter(enters);
  auto insert = scf::IfOp::create(builder, loc, enters.getResult(0), false);
  builder.setInsertionPointToStart(insert.thenBlock());
  Value hole = ops.select(isFull, last, i);
  row.store(pair, hole);
  whileLoop(ops, hole, [&](Value at) -> std::pair<Value, Value> {
    Value hasPrevious = ops.compareIndex(P::sgt, at, ops.i64(0));
    Value previous = ops.select(
        hasPrevious, Value(arith::SubIOp::create(builder, loc, at, ops.i64(1))),
        at);
    RowOfPairs::Pair p = row.load(previous);
    Value moves = row.before(pair, p);
    auto branch = scf::IfOp::create(builder, loc, moves, false);
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(branch.thenBlock());
    row.store(p, at);
    row.store(pair, previous);
    return {moves, previous};
  });
}
