//===- AttentionKeys.cpp - What a warp makes of its keys ------------------===//

#include "AttentionKernel.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace tpc;
using P = arith::CmpIPredicate;

SmallVector<Value> AttentionKernel::flatten(const States &states) {
  SmallVector<Value> values;
  for (const State &state : states) {
    values.append({state.peak, state.sum});
    llvm::append_range(values, state.acc);
  }
  return values;
}

AttentionKernel::States AttentionKernel::unflatten(ValueRange values) {
  States states;
  size_t each = 2 + runs() * perLane;
  for (size_t i = 0; i < values.size(); i += each)
    states.push_back({values[i], values[i + 1],
                      SmallVector<Value>(values.slice(i + 2, each - 2))});
  return states;
}

AttentionKernel::States AttentionKernel::seeKeys() {
  State empty{number(-INFINITY), number(0),
              SmallVector<Value>(runs() * perLane, number(0))};
  auto loop = scf::ForOp::create(
      builder, loc, ops.add(begin, ops.mul(warp, kWarp)), end,
      ops.i64(shape.warps * kWarp), flatten(States(queries.size(), empty)));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  States states = unflatten(loop.getRegionIterArgs());
  seeRun(loop.getInductionVar(), states);
  scf::YieldOp::create(builder, loc, flatten(states));
  return unflatten(loop.getResults());
}

/// The keys [first, first + 32), one a lane.
void AttentionKernel::seeRun(Value first, States &states) {
  // Lanes behind the end compute the first key's scores again.
  Value mine = ops.add(first, lane);
  Value inside = ops.compareIndex(P::slt, mine, end);
  SmallVector<Value> scores = scoresOf(ops.select(inside, mine, first));
  SmallVector<Value> weights;
  for (auto [query, score, state] : llvm::zip_equal(queries, scores, states)) {
    score = ops.select(seenBy(query, mine), score, number(-INFINITY));
    Value peak = max(state.peak, block.reduce(score, kWarp, Reduction::Max));
    Value scale = weight(state.peak, peak);
    weights.push_back(weight(score, peak));
    state.peak = peak;
    state.sum = math.fma(state.sum, scale,
                         block.reduce(weights.back(), kWarp, Reduction::Sum));
    for (Value &acc : state.acc)
      acc = fmul(acc, scale);
  }
  addValues(first, weights, states);
}

/// The scores of all queries with a key.
SmallVector<Value> AttentionKernel::scoresOf(Value at) {
  ArrayRef<int64_t> view = op.getKeyView(); // offset, b, t, k
  int64_t lanes = lanesOf(d, view.drop_front(), key, 8);
  LaneOps wide = wideOps(lanes);
  Value row = ops.add(keyRow, ops.mul(at, view[2]));
  auto loop =
      scf::ForOp::create(builder, loc, ops.i64(0), ops.i64(d), ops.i64(lanes),
                         SmallVector<Value>(queries.size(), number(0)));
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value i = loop.getInductionVar();
    Value part = wide.load(key.pointer, ops.add(row, i), element, lanes > 1, {},
                           lanes * elementBytes(element));
    SmallVector<Value> sums(loop.getRegionIterArgs());
    for (auto [number, sum] : llvm::enumerate(sums))
      for (int64_t l = 0; l < lanes; ++l) {
        Value x = block.loadShared(shared, compute,
                                   ops.add(ops.i64(number * d + l), i));
        sum = math.fma(x, wide.lane(part, l), sum);
      }
    scf::YieldOp::create(builder, loc, sums);
  }
  SmallVector<Value> scores;
  for (auto [query, product] : llvm::zip_equal(queries, loop.getResults()))
    scores.push_back(adjusted(product, query, at));
  return scores;
}

/// The score of a query's product with a key.
Value AttentionKernel::adjusted(Value product, const Query &query, Value key) {
  Value score = fmul(product, number(op.getScale().convertToDouble()));
  if (op.getSoftcap()) {
    Value cap = number(op.getSoftcap()->convertToDouble());
    Value share = arith::DivFOp::create(builder, loc, score, cap);
    score = fmul(cap, math.tanh(share));
  }
  if (!bias)
    return score;
  ArrayRef<int64_t> strides = op.getBiasView()->drop_front(); // b, k, g, s, t
  Value at[] = {ib, ik, query.g, query.s, key};
  Value index = ops.i64(0);
  for (auto [i, stride] : llvm::zip_equal(at, strides))
    index = ops.add(index, ops.mul(i, stride));
  return arith::AddFOp::create(builder, loc, score,
                               toCompute(load(bias, index)));
}

Value AttentionKernel::elementsOf(int64_t run) {
  int64_t width = kWarp * perLane;
  Value first = ops.add(ops.mul(lane, perLane), ops.i64(run * width));
  if ((run + 1) * width <= v)
    return first;
  Value inside = ops.compareIndex(P::slt, first, ops.i64(v));
  return ops.select(inside, first, ops.i64(0));
}

/// acc += weight * value for the run's keys.
void AttentionKernel::addValues(Value first, ArrayRef<Value> weights,
                                States &states) {
  if (v == 0)
    return;
  Value count =
      min(ops.i64(kWarp), arith::SubIOp::create(builder, loc, end, first));
  auto loop = scf::ForOp::create(builder, loc, ops.i64(0), count, ops.i64(1),
                                 flatten(states));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  States next = unflatten(loop.getRegionIterArgs());
  Value j = loop.getInductionVar(), at = ops.add(first, j);
  Value row = ops.add(valueRow, ops.mul(at, op.getValueView()[2]));
  LaneOps wide = wideOps(perLane);
  SmallVector<Value> parts;
  for (int64_t run = 0; run < runs(); ++run)
    parts.push_back(wide.load(value.pointer, ops.add(row, elementsOf(run)),
                              element, perLane > 1, {},
                              perLane * elementBytes(element)));
  for (auto [query, mine, state] : llvm::zip_equal(queries, weights, next)) {
    Value w = block.broadcast(mine, j);
    // With one query, all keys are seen by it.
    Value isSeen = queries.size() > 1 ? seenBy(query, at) : Value();
    for (auto [i, acc] : llvm::enumerate(state.acc)) {
      Value sum = math.fma(w, wide.lane(parts[i / perLane], i % perLane), acc);
      acc = isSeen ? ops.select(isSeen, sum, acc) : sum;
    }
  }
  scf::YieldOp::create(builder, loc, flatten(next));
  states = unflatten(loop.getResults());
}
