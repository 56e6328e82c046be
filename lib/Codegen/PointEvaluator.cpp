//===- PointEvaluator.cpp - Values of a kernel at a point -----------------===//

#include "PointEvaluator.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/MatmulLayout.h"
#include <numeric>

using namespace mlir;
using namespace tpc;

void PointEvaluator::enterLanes(Operation *loop, Value column, Value mask) {
  lanesLoop = loop;
  laneColumn = column;
  laneMask = mask;
  laneMemo.clear();
}

void PointEvaluator::leaveLanes() {
  lanesLoop = nullptr;
  laneColumn = laneMask = {};
  laneMemo.clear();
}

PointIndex PointEvaluator::shifted(PointIndex index, PointIndex by) {
  bool rowLevel = index.rowLevel && by.rowLevel;
  Scope scope(*this, rowLevel);
  return {ops.add(index.base, by.base), index.lane || by.lane, rowLevel,
          std::gcd(index.divisor, by.divisor)};
}

Value PointEvaluator::indexValue(PointIndex index) {
  return index.lane ? ops.laneIndices(index.base) : index.base;
}

Guard PointEvaluator::within(PointIndex index, int64_t low, int64_t high) {
  using P = arith::CmpIPredicate;
  bool rowLevel = index.rowLevel && !index.lane;
  Scope scope(*this, rowLevel);
  // All lanes are on the same side of a bound that is a multiple of their
  // number.
  bool together =
      llvm::all_of(ArrayRef<int64_t>{index.divisor, low, high},
                   [&](int64_t number) { return number % ops.lanes == 0; });
  Value value = together ? index.base : indexValue(index);
  Value above = ops.compareIndex(P::sge, value, ops.i64(low));
  Value below = ops.compareIndex(P::slt, value, ops.i64(high));
  return {ops.both(above, below), rowLevel};
}

Guard PointEvaluator::both(Guard a, Guard b) {
  bool rowLevel = a.rowLevel && b.rowLevel;
  Scope scope(*this, rowLevel);
  return {ops.both(a.condition, b.condition), rowLevel};
}

FailureOr<Value> PointEvaluator::at(Value value, const PointIndices &indices,
                                    Guard guard) {
  if (Value row = known.lookup(value))
    return row;
  bool rowLevel = guard.rowLevel;
  for (const PointIndex &index : indices)
    rowLevel &= index.rowLevel && !index.lane;
  Key key{value.getAsOpaquePointer(),
          {std::vector<PointIndex>(indices.begin(), indices.end()),
           guard.condition.getAsOpaquePointer()}};
  bool hoist = rowLevel && lanesLoop;
  bool useRowMemo = hoist || (!lanesLoop && rowLevel && depth == 0);
  bool useMemo = useRowMemo || depth == 0;
  Memo &memo = useRowMemo ? rowMemo : laneMemo;
  if (useMemo)
    if (auto found = memo.find(key); found != memo.end())
      return found->second;
  OpBuilder::InsertionGuard insertion(ops.builder);
  Operation *loop = lanesLoop;
  unsigned innerDepth = depth;
  if (hoist) {
    ops.builder.setInsertionPoint(lanesLoop);
    lanesLoop = nullptr;
    depth = 0;
  }
  FailureOr<Value> result = compute(value, indices, guard);
  lanesLoop = loop;
  depth = innerDepth;
  if (succeeded(result) && useMemo)
    memo[key] = *result;
  return result;
}

bool PointEvaluator::isKeptHere(Value value, const PointIndices &indices) {
  return scratch.count(value) && indices.size() == shape.domain.size() &&
         laneColumn;
}

FailureOr<Value>
PointEvaluator::compute(Value value, const PointIndices &indices, Guard guard) {
  if (!body.contains(value))
    return load(value, indices, guard);
  Operation *op = value.getDefiningOp();
  bool kept = isKeptHere(value, indices);
  Type element = ops.registerType(elementOf(value));
  if (kept && readable.contains(value))
    return ops.load(scratch[value], laneColumn, element, ops.lanes > 1, {});
  FailureOr<Value> result = computeOp(op, indices, guard);
  if (succeeded(result) && kept) {
    // Scratch has room for whole vectors: no mask.
    ops.store(ops.spread(*result), scratch[value], laneColumn, element, {});
    written.insert(value);
  }
  return result;
}

FailureOr<Value> PointEvaluator::computeOp(Operation *op,
                                           const PointIndices &indices,
                                           Guard guard) {
  if (auto constantOp = dyn_cast<tpc::ConstantOp>(op))
    return ops.splat(cast<DenseElementsAttr>(constantOp.getValue()));
  if (auto iota = dyn_cast<IotaOp>(op))
    return ops.fromIndex(indexValue(indices[iota.getDim()]),
                         elementOf(iota.getResult()));
  if (op->hasTrait<Elementwise>()) {
    SmallVector<Value> operands;
    for (Value operand : op->getOperands()) {
      FailureOr<Value> element = at(operand, indices, guard);
      if (failed(element))
        return failure();
      operands.push_back(*element);
    }
    return ops.elementwise(op, operands);
  }
  PointIndices inner(indices);
  if (auto broadcast = dyn_cast<BroadcastOp>(op)) {
    inner.clear();
    ArrayRef<int64_t> from = shapeOf(broadcast.getOperand());
    for (auto [size, dim] : llvm::zip_equal(from, broadcast.getDims()))
      inner.push_back(size == 1 ? constant(0) : indices[dim]);
    return at(broadcast.getOperand(), inner, guard);
  }
  if (auto transpose = dyn_cast<TransposeOp>(op)) {
    for (auto [i, dim] : llvm::enumerate(transpose.getPermutation()))
      inner[dim] = indices[i];
    return at(transpose.getOperand(), inner, guard);
  }
  if (auto slice = dyn_cast<tpc::SliceOp>(op)) {
    for (auto [i, offset] : llvm::enumerate(slice.getOffsets()))
      inner[i] = shifted(indices[i], constant(offset));
    return at(slice.getOperand(), inner, guard);
  }
  return TypeSwitch<Operation *, FailureOr<Value>>(op)
      .Case([&](ReduceOp op) { return reduce(op, indices, guard); })
      .Case([&](GatherOp op) { return gather(op, indices, guard); })
      .Case([&](PadOp op) { return pad(op, indices, guard); })
      .Case([&](ConcatOp op) { return concat(op, indices, guard); })
      .Case([&](DynamicSliceOp op) { return dynamicSlice(op, indices, guard); })
      .Default([](Operation *op) -> FailureOr<Value> {
        return op->emitOpError("has no code inside a kernel");
      });
}

Value PointEvaluator::offsetOf(const PointIndices &indices,
                               ArrayRef<int64_t> strides) {
  Value row = ops.i64(0), inner = ops.i64(0);
  for (auto [index, stride] : llvm::zip_equal(indices, strides)) {
    Scope scope(*this, index.rowLevel);
    Value part = ops.mul(index.base, stride);
    Value &sum = index.rowLevel ? row : inner;
    sum = ops.add(sum, part);
  }
  return ops.add(row, inner);
}

int64_t PointEvaluator::alignmentOf(const PointIndices &indices,
                                    ArrayRef<int64_t> strides, Type element,
                                    const Buffer &buffer) {
  int64_t divisor = 0, bytes = elementBytes(element);
  for (auto [index, stride] : llvm::zip_equal(indices, strides))
    divisor = std::gcd(divisor, index.divisor * stride);
  return std::gcd(divisor * bytes, buffer.alignment ? buffer.alignment : bytes);
}

FailureOr<Value> PointEvaluator::load(Value value, const PointIndices &indices,
                                      Guard guard) {
  Type element = elementOf(value);
  if (tensorType(value).getNumElements() == 0)
    return ops.zero(ops.registerType(element));
  SmallVector<int64_t> strides = rowMajorStrides(shapeOf(value));
  Value offset = offsetOf(indices, strides);
  Buffer buffer = buffers.lookup(value);
  int64_t alignment = alignmentOf(indices, strides, element, buffer);
  bool vector = false;
  for (auto [index, stride] : llvm::zip_equal(indices, strides))
    vector |= index.lane && stride == 1 && ops.lanes > 1;
  Value mask = vector ? laneMask : Value();
  auto loadAt = [&](Value at, Value where) {
    return ops.load(buffer.pointer, at, element, vector, where, alignment);
  };
  if (!guard.condition)
    return loadAt(offset, mask);
  bool fits = tensorType(value).getNumElements() >= ops.lanes &&
              !ops.isVector(guard.condition) && !ops.target.masksMemory;
  if (vector && !fits)
    return loadAt(offset, ops.both(mask, ops.spread(guard.condition)));
  // What is not used, because the guard is false, is read at a valid place.
  if (ops.isVector(guard.condition)) {
    // The lanes share the element; it exists if any lane needs it, and the
    // first element exists anyway.
    Value any = ops.acrossLanes(
        Reduction::Max,
        arith::ExtUIOp::create(ops.builder, ops.loc,
                               ops.vectorOf(ops.builder.getI32Type()),
                               guard.condition));
    guard.condition =
        arith::CmpIOp::create(ops.builder, ops.loc, arith::CmpIPredicate::ne,
                              any, ops.zero(ops.builder.getI32Type()));
  }
  return loadAt(ops.select(guard.condition, offset, ops.i64(0)), mask);
}

/// A reduction over dimensions other than the last: loops inside the point.
FailureOr<Value>
PointEvaluator::reduce(ReduceOp op, const PointIndices &indices, Guard guard) {
  if (op.getDims().empty())
    return at(op.getOperand(), indices, guard);
  OpBuilder &builder = ops.builder;
  Type element = elementOf(op.getResult());
  PointIndices inner(indices);
  bool vector =
      ops.lanes > 1 &&
      (llvm::any_of(indices, [](const PointIndex &i) { return i.lane; }));
  Value initial = ops.identity(op.getReduction(), ops.registerType(element));
  if (vector)
    initial = ops.spread(initial);
  OpBuilder::InsertionGuard insertion(builder);
  SmallVector<scf::ForOp> loops;
  for (int64_t dim : op.getDims()) {
    auto loop = scf::ForOp::create(
        builder, ops.loc, ops.i64(0), ops.i64(shapeOf(op.getOperand())[dim]),
        ops.i64(1), loops.empty() ? initial : loops.back().getRegionIterArg(0));
    loops.push_back(loop);
    inner.insert(inner.begin() + dim,
                 PointIndex{loop.getInductionVar(), false, false});
    builder.setInsertionPointToStart(loop.getBody());
  }
  ++depth;
  FailureOr<Value> operand = at(op.getOperand(), inner, guard);
  --depth;
  if (failed(operand))
    return failure();
  Value next = vector ? ops.spread(*operand) : *operand;
  next = ops.combine(op.getReduction(), loops.back().getRegionIterArg(0), next);
  for (scf::ForOp loop : llvm::reverse(loops)) {
    scf::YieldOp::create(builder, ops.loc, next);
    next = loop.getResult(0);
    builder.setInsertionPointAfter(loop);
  }
  return ops.rounded(loops.front().getResult(0), element);
}

FailureOr<Value>
PointEvaluator::gather(GatherOp op, const PointIndices &indices, Guard guard) {
  int64_t dim = op.getDim(), rank = shapeOf(op.getIndices()).size();
  PointIndices which(indices.begin() + dim, indices.begin() + dim + rank);
  FailureOr<Value> index = at(op.getIndices(), which, guard);
  if (failed(index))
    return failure();
  bool rowLevel = guard.rowLevel;
  for (const PointIndex &i : which)
    rowLevel &= i.rowLevel && !i.lane;
  PointIndices inner(indices);
  inner.erase(inner.begin() + dim, inner.begin() + dim + rank);
  PointIndex row{{}, false, rowLevel};
  {
    Scope scope(*this, rowLevel);
    row.base = ops.toIndex(*index);
  }
  inner.insert(inner.begin() + dim, row);
  Guard inside = both(guard, within(row, 0, shapeOf(op.getTable())[dim]));
  FailureOr<Value> element = at(op.getTable(), inner, inside);
  if (failed(element))
    return failure();
  return ops.select(inside.condition, *element, ops.zero(element->getType()));
}

FailureOr<Value> PointEvaluator::pad(PadOp op, const PointIndices &indices,
                                     Guard guard) {
  PointIndices inner;
  Guard own;
  ArrayRef<int64_t> from = shapeOf(op.getOperand());
  ArrayRef<int64_t> to = shapeOf(op.getResult());
  for (auto [i, low] : llvm::enumerate(op.getLow())) {
    inner.push_back(shifted(indices[i], constant(-low)));
    if (from[i] == to[i])
      continue;
    own = both(own, within(indices[i], low, low + from[i]));
  }
  if (!own.condition)
    return at(op.getOperand(), inner, guard);
  FailureOr<Value> element = at(op.getOperand(), inner, both(guard, own));
  if (failed(element))
    return failure();
  Type type = elementOf(op.getResult());
  double number = op.getValue().convertToDouble();
  auto scalar = RankedTensorType::get({}, type);
  Attribute attr =
      isa<FloatType>(type)
          ? Attribute(FloatAttr::get(cast<FloatType>(type), number))
          : Attribute(IntegerAttr::get(type, int64_t(number)));
  Value outside = ops.splat(DenseElementsAttr::get(scalar, attr));
  return ops.select(own.condition, *element, outside);
}

/// Operands in runs: between two runs lies a bound that no vector crosses. A
/// few runs are all computed and selected from; of many one is found by
/// bisection, so that a concat of hundreds reads each element once.
FailureOr<Value>
PointEvaluator::concat(ConcatOp op, const PointIndices &indices, Guard guard) {
  constexpr size_t kFew = 4;
  int64_t dim = op.getDim(), begin = 0;
  const PointIndex &index = indices[dim];
  bool together = !index.lane || index.divisor % ops.lanes == 0;
  SmallVector<Parts> runs;
  for (Value operand : op.getOperands()) {
    int64_t size = shapeOf(operand)[dim];
    if (size == 0)
      continue;
    if (runs.empty() || (together && (!index.lane || begin % ops.lanes == 0)))
      runs.emplace_back();
    runs.back().push_back({begin, operand});
    begin += size;
  }
  if (runs.empty())
    return ops.zero(ops.registerType(elementOf(op.getResult())));
  if (runs.size() > kFew)
    return selectPart(op, runs, indices, guard);
  Parts all;
  for (const Parts &run : runs)
    llvm::append_range(all, run);
  return selectPart(op, {all}, indices, guard);
}

/// The element of the run of operands that holds the index.
FailureOr<Value> PointEvaluator::selectPart(ConcatOp op, ArrayRef<Parts> runs,
                                            const PointIndices &indices,
                                            Guard guard) {
  int64_t dim = op.getDim();
  if (runs.size() == 1) {
    Value result;
    for (auto [begin, operand] : runs.front()) {
      PointIndices inner(indices);
      inner[dim] = shifted(indices[dim], constant(-begin));
      Guard own = within(indices[dim], begin, begin + shapeOf(operand)[dim]);
      FailureOr<Value> element = at(operand, inner, both(guard, own));
      if (failed(element))
        return failure();
      result = result ? ops.select(own.condition, *element, result) : *element;
    }
    return result;
  }
  bool vector = ops.lanes > 1 && llvm::any_of(indices, [](const PointIndex &i) {
                  return i.lane;
                });
  Type type = ops.registerType(elementOf(op.getResult()));
  ArrayRef<Parts> before = runs.take_front(runs.size() / 2),
                  after = runs.drop_front(before.size());
  Value isBefore =
      ops.compareIndex(arith::CmpIPredicate::slt, indices[dim].base,
                       ops.i64(after.front().front().first));
  auto choice =
      scf::IfOp::create(ops.builder, ops.loc,
                        TypeRange(vector ? ops.vectorOf(type) : type), isBefore,
                        /*addThenBlock=*/true, /*addElseBlock=*/true);
  OpBuilder::InsertionGuard insertion(ops.builder);
  ++depth; // what is computed inside is not known outside
  for (auto [half, block] : {std::pair(before, choice.thenBlock()),
                             std::pair(after, choice.elseBlock())}) {
    ops.builder.setInsertionPointToStart(block);
    FailureOr<Value> element = selectPart(op, half, indices, guard);
    if (failed(element))
      return failure();
    scf::YieldOp::create(ops.builder, ops.loc,
                         vector ? ops.spread(*element) : *element);
  }
  --depth;
  return choice.getResult(0);
}

FailureOr<PointIndices>
PointEvaluator::clampedStart(Value start, ArrayRef<int64_t> whole,
                             ArrayRef<int64_t> part, Guard guard,
                             std::optional<PointIndex> row) {
  PointIndices result;
  bool rowLevel = guard.rowLevel && (!row || (row->rowLevel && !row->lane));
  for (auto [dim, sizes] : llvm::enumerate(llvm::zip_equal(whole, part))) {
    int64_t room = std::get<0>(sizes) - std::get<1>(sizes);
    if (room == 0) {
      result.push_back(constant(0));
      continue;
    }
    // With a row, dimension 0 has no start.
    PointIndex entry = constant(static_cast<int64_t>(dim) - (row ? 1 : 0));
    PointIndices which = row ? PointIndices{*row, entry} : PointIndices{entry};
    FailureOr<Value> element = at(start, which, guard);
    if (failed(element))
      return failure();
    Scope scope(*this, rowLevel);
    Value index = ops.toIndex(*element);
    index = arith::MaxSIOp::create(ops.builder, ops.loc, index, ops.i64(0));
    index = arith::MinSIOp::create(ops.builder, ops.loc, index, ops.i64(room));
    result.push_back({index, false, rowLevel});
  }
  return result;
}

FailureOr<Value> PointEvaluator::dynamicSlice(DynamicSliceOp op,
                                              const PointIndices &indices,
                                              Guard guard) {
  FailureOr<PointIndices> start = clampedStart(
      op.getStart(), shapeOf(op.getOperand()), shapeOf(op.getResult()), guard);
  if (failed(start))
    return failure();
  PointIndices inner;
  for (auto [index, offset] : llvm::zip_equal(indices, *start))
    inner.push_back(shifted(index, offset));
  return at(op.getOperand(), inner, guard);
}
