//===- KernelPoints.cpp - What kernels of all targets share ---------------===//

#include "KernelPoints.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/MatmulLayout.h"

using namespace mlir;
using namespace tpc;
using P = arith::CmpIPredicate;

void KernelPoints::takeBuffers(llvm::function_ref<Buffer(unsigned)> take) {
  unsigned count = 0;
  for (BlockArgument argument : function.getBody().getArguments())
    buffers[argument] = take(count++);
  for (unsigned i = 0, e = function.getNumResults(); i < e; ++i)
    outputs.push_back(i < function.getUpdates()
                          ? buffers[function.getBody().getArgument(
                                function.getNumInputs() + i)]
                          : take(count++));
}

void KernelPoints::indexRow(Value row) {
  dimIndices.assign(shape.domain.size(), ops.i64(0));
  for (size_t i = shape.rows.size(); i-- > 0;) {
    Value extent = ops.i64(shape.rows[i].extent);
    dimIndices[shape.rows[i].dim] =
        i == 0 ? row : Value(arith::RemUIOp::create(builder, loc, row, extent));
    if (i > 0)
      row = arith::DivUIOp::create(builder, loc, row, extent);
  }
}

PointIndices KernelPoints::domainIndices(Value column, size_t rank,
                                         int64_t divisor) {
  PointIndices indices;
  for (size_t i = 0; i < rank; ++i) {
    if (static_cast<int64_t>(i) == shape.lanes.dim)
      indices.push_back({column, true, false, divisor});
    else
      indices.push_back({dimIndices[i], false, true});
  }
  return indices;
}

bool KernelPoints::isFull(Value output) {
  return output.getDefiningOp<UpdateSliceOp>() ||
         shapeOf(output) == ArrayRef(shape.domain);
}

bool KernelPoints::isSpecial() {
  return body.ops.size() == 1 && classify(body.ops.front()) == OpClass::Special;
}

/// All outputs at a point are computed before the first is stored: an output
/// may lie in an operand's memory.
FailureOr<KernelPoints::Stores>
KernelPoints::pointStores(const PointIndices &indices) {
  Stores stores;
  for (auto [i, output] : llvm::enumerate(body.outputs)) {
    if (!isFull(output))
      continue;
    Value stored = output;
    PointIndices where = indices;
    if (auto update = output.getDefiningOp<UpdateSliceOp>()) {
      stored = update.getUpdate();
      bool perRow = update.startsPerRow();
      FailureOr<PointIndices> start = evaluator.clampedStart(
          update.getStart(), shapeOf(output), shapeOf(stored), {},
          perRow ? std::optional<PointIndex>(indices[0]) : std::nullopt);
      if (failed(start))
        return failure();
      for (auto [index, offset] : llvm::zip_equal(where, *start))
        index = evaluator.shifted(index, offset);
    }
    FailureOr<Value> value = evaluator.at(stored, indices);
    if (failed(value))
      return failure();
    SmallVector<int64_t> strides = rowMajorStrides(shapeOf(output));
    Type element = elementOf(output);
    bool vector = shape.lanes.dim >= 0;
    stores.push_back(
        {vector ? ops.spread(*value) : *value, outputs[i].pointer,
         evaluator.offsetOf(where, strides), element,
         PointEvaluator::alignmentOf(where, strides, element, outputs[i])});
  }
  return stores;
}

FailureOr<KernelPoints::Stores> KernelPoints::rowStores() {
  Stores stores;
  for (auto [i, output] : llvm::enumerate(body.outputs)) {
    if (isFull(output))
      continue;
    PointIndices indices = domainIndices({}, shape.domain.size() - 1);
    FailureOr<Value> value = evaluator.at(output, indices);
    if (failed(value))
      return failure();
    Value offset =
        evaluator.offsetOf(indices, rowMajorStrides(shapeOf(output)));
    stores.push_back(
        {*value, outputs[i].pointer, offset, elementOf(output), 0});
  }
  return stores;
}

void KernelPoints::write(const Stores &stores, Value mask) {
  for (const Store &store : stores)
    ops.store(store.value, store.pointer, store.index, store.element, mask,
              store.alignment);
}

/// Updates are added in order.
void KernelPoints::scatterAdd(ScatterAddOp op, Value column, Value mask,
                              int64_t divisor) {
  Type element = elementOf(op.getOperand());
  int64_t dim = op.getDim();
  int64_t count = tensorType(op.getIndices()).getNumElements();
  bool vector = ops.lanes > 1;
  auto loop =
      scf::ForOp::create(builder, loc, ops.i64(0), ops.i64(count), ops.i64(1));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value i = loop.getInductionVar();
  Value target =
      ops.toIndex(ops.load(buffers.lookup(op.getIndices()).pointer, i,
                           elementOf(op.getIndices()), false, {}));
  Value inside = ops.both(
      ops.compareIndex(P::sge, target, ops.i64(0)),
      ops.compareIndex(P::slt, target, ops.i64(shapeOf(op.getOperand())[dim])));
  auto branch = scf::IfOp::create(builder, loc, inside, /*withElse=*/false);
  builder.setInsertionPointToStart(branch.thenBlock());
  // The updates' indexed dimensions count as one.
  SmallVector<int64_t> updateShape(shapeOf(op.getOperand()));
  updateShape[dim] = count;
  PointIndices indices = domainIndices(column, shape.domain.size(), divisor);
  auto place = [&](Value at, ArrayRef<int64_t> sizes, const Buffer &buffer) {
    PointIndices moved(indices);
    moved[dim] = {at, false, false};
    SmallVector<int64_t> strides = rowMajorStrides(sizes);
    return std::pair(
        evaluator.offsetOf(moved, strides),
        PointEvaluator::alignmentOf(moved, strides, element, buffer));
  };
  Buffer updates = buffers.lookup(op.getUpdates()), output = outputs[0];
  auto [from, fromAlignment] = place(i, updateShape, updates);
  Value update =
      ops.load(updates.pointer, from, element, vector, mask, fromAlignment);
  auto [to, alignment] = place(target, shapeOf(op.getOperand()), output);
  Value before = ops.load(output.pointer, to, element, vector, mask, alignment);
  Value sum = ops.rounded(ops.combine(Reduction::Sum, before, update), element);
  ops.store(sum, output.pointer, to, element, mask, alignment);
}
