//===- CudaAttention.cpp - Attention on a GPU -----------------------------===//
//
// A block has up to four queries that read the same keys: of one group of
// heads, and neighbours in the sequence. Its warps take turns at runs of 32
// keys, one key a lane, and keep for each query the softmax of what they have
// seen so far (Milakov and Gimelshein, "Online normalizer calculation for
// softmax", 2018):
//
//   peak   the largest score
//   sum    sum of w = exp(score - peak)
//   acc    sum of w * value; lane l has the elements l * n, ..., l * n + n - 1
//          of each run of 32 * n
//
// A larger peak scales sum and acc down. At the end the warps' results are
// combined the same way through shared memory.
//
// The keys that a query sees are an interval. What no query of the block sees
// is not read, and what a query does not see has no part in its sums, whatever
// it is.
//
//===----------------------------------------------------------------------===//

#include "../VectorMath.h"
#include "BlockOps.h"
#include "LibraryKernels.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/MatmulLayout.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace tpc;
using P = arith::CmpIPredicate;

constexpr int64_t kMaxWarps = 8;
constexpr int64_t kMaxQueries = 4;
/// As long as there are fewer blocks, a block has fewer queries.
constexpr int64_t kEnoughBlocks = 128;
constexpr int64_t kSharedBytes = 48 * 1024;

namespace {

/// How the work is divided.
struct AttentionShape {
  int64_t warps = 1, queries = 1; // of a block
  int64_t groups = 0;             // of queries, per key head and batch row

  static FailureOr<AttentionShape> of(plan::AttentionOp op);
};

/// A buffer of the step, and what its address is a multiple of.
struct Operand {
  Value value, pointer;
  int64_t alignment = 0;

  explicit operator bool() const { return value != nullptr; }
};

class AttentionKernel {
public:
  AttentionKernel(OpBuilder &builder, plan::AttentionOp op,
                  const AttentionShape &shape, LLVM::LLVMFuncOp kernel,
                  ArrayRef<BufferFacts> facts);

  void emit() {
    chooseQueries();
    loadQueries();
    block.barrier();
    combineWarps(seeKeys());
  }

private:
  /// One of the block's queries.
  struct Query {
    Value s, g;
    Value isMine;     // null: always; otherwise it is another block's
    Value begin, end; // the keys that it sees
  };
  /// What a warp knows of a query.
  struct State {
    Value peak, sum;
    SmallVector<Value> acc;
  };
  using States = SmallVector<State>;

  void chooseQueries();
  void chooseKeys(Query &query);
  void loadQueries();
  States seeKeys();
  void seeRun(Value first, States &states);
  SmallVector<Value> scoresOf(Value key);
  Value adjusted(Value score, const Query &query, Value key);
  void addValues(Value first, ArrayRef<Value> weights, States &states);
  void combineWarps(const States &states);
  void storeResult(int64_t query, Value peaks, Value sums, Value acc);

  SmallVector<Value> flatten(const States &states);
  States unflatten(ValueRange values);
  Value seenBy(const Query &query, Value key);
  /// Where a lane's elements of run `run` of a value begin; those behind the
  /// end are read at the begin, and not used.
  Value elementsOf(int64_t run);
  int64_t runs() { return llvm::divideCeil(v, kWarp * perLane); }

  // Numbers in the type that is computed in.
  Value load(const Operand &operand, Value index) {
    return ops.load(operand.pointer, index, elementOf(operand.value), false,
                    {});
  }
  Value loadIndex(const Operand &operand, Value index) {
    return ops.toIndex(load(operand, index));
  }
  Value toCompute(Value x);
  Value number(double value) {
    return arith::ConstantOp::create(
        builder, loc, FloatAttr::get(cast<FloatType>(compute), value));
  }
  Value fmul(Value x, Value y) {
    return arith::MulFOp::create(builder, loc, x, y);
  }
  Value max(Value x, Value y) { return ops.combine(Reduction::Max, x, y); }
  Value min(Value x, Value y) {
    return arith::MinSIOp::create(builder, loc, x, y);
  }
  /// exp(score - peak); 0 where nothing was seen, also where both are -inf.
  Value weight(Value score, Value peak) {
    Value none = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                       peak, number(-INFINITY));
    Value shift = ops.select(none, number(0), peak);
    return math.exp(arith::SubFOp::create(builder, loc, score, shift));
  }
  LaneOps wideOps(int64_t lanes) {
    return LaneOps(builder, loc, LaneTarget::gpu(lanes), entry);
  }

  plan::AttentionOp op;
  const AttentionShape &shape;
  OpBuilder &builder;
  Location loc;
  Block *entry;
  LaneOps ops;
  VectorMath math;
  BlockOps block;
  int64_t s, t, k, g, d, v;
  Type element, compute;
  Operand query, key, value, bias, lengths, offset, sinks, result;

  Value ib, ik;               // batch row and key head of the block
  Value warp, lane;           // numbers of the thread's
  SmallVector<Query> queries; // of the block
  Value begin, end;           // the keys that any of them sees
  Value shared;               // the queries' elements
  Value keyRow, valueRow;     // offset of this head's key and value 0
  int64_t perLane = 1;        // value's elements next to each other in a lane
};

} // namespace

/// As many warps as have keys, and room for their results in shared memory.
FailureOr<AttentionShape> AttentionShape::of(plan::AttentionOp op) {
  ArrayRef<int64_t> sizes = op.getSizes();
  int64_t t = sizes[2], d = sizes[5], v = sizes[6];
  int64_t heads = sizes[0] * sizes[3], rows = sizes[1] * sizes[4];
  int64_t bytes = elementOf(op.getResult()).isF64() ? 8 : 4;
  AttentionShape shape;
  shape.warps = std::clamp<int64_t>(
      llvm::PowerOf2Ceil(llvm::divideCeil(t, kWarp)), 1, kMaxWarps);
  shape.queries = kMaxQueries;
  auto room = [&] {
    return bytes * shape.queries * (d + shape.warps * (v + 2));
  };
  while (shape.queries > 1 &&
         (heads * llvm::divideCeil(rows, shape.queries) < kEnoughBlocks ||
          room() > kSharedBytes))
    shape.queries /= 2;
  while (shape.warps > 1 && room() > kSharedBytes)
    shape.warps /= 2;
  if (room() > kSharedBytes)
    return op.emitOpError("with keys of ")
           << d << " and values of " << v << " elements needs " << room()
           << " bytes of shared memory, and a block of a GPU has "
           << kSharedBytes;
  shape.groups = llvm::divideCeil(rows, shape.queries);
  return shape;
}

/// Elements that stand next to each other and are loaded at once: they divide
/// `size`, and every address is a multiple of their bytes.
static int64_t lanesOf(int64_t size, ArrayRef<int64_t> strides,
                       const Operand &operand, int64_t most) {
  int64_t bytes = elementBytes(elementOf(operand.value));
  int64_t divisor = std::gcd(size, operand.alignment / bytes);
  for (int64_t stride : strides)
    divisor = std::gcd(divisor, stride);
  return std::min(most, divisor & -divisor);
}

AttentionKernel::AttentionKernel(OpBuilder &builder, plan::AttentionOp op,
                                 const AttentionShape &shape,
                                 LLVM::LLVMFuncOp kernel,
                                 ArrayRef<BufferFacts> facts)
    : op(op), shape(shape), builder(builder), loc(op.getLoc()),
      entry(&kernel.getBody().front()),
      ops(builder, loc, LaneTarget::gpu(1), entry),
      math(builder, loc, /*hasExp2=*/true),
      block(ops, kernel, shape.warps * kWarp) {
  ArrayRef<int64_t> sizes = op.getSizes();
  s = sizes[1], t = sizes[2], k = sizes[3], g = sizes[4];
  d = sizes[5], v = sizes[6];
  element = elementOf(op.getResult());
  compute = ops.registerType(element);
  // Two operands may be the same value, read at different places.
  unsigned next = 0;
  auto take = [&](Value value) -> Operand {
    if (!value)
      return {};
    unsigned i = next++;
    return {value, kernel.getArgument(i), facts[i].alignment};
  };
  query = take(op.getQuery());
  key = take(op.getKey());
  value = take(op.getValue());
  bias = take(op.getBias());
  lengths = take(op.getLengths());
  offset = take(op.getOffset());
  sinks = take(op.getSinks());
  result = take(op.getResult());
}

Value AttentionKernel::toCompute(Value x) {
  if (x.getType() == compute)
    return x;
  if (compute.isF64())
    return arith::ExtFOp::create(builder, loc, compute, x);
  return arith::TruncFOp::create(builder, loc, compute, x);
}

//===----------------------------------------------------------------------===//
// Queries, and the keys that they see
//===----------------------------------------------------------------------===//

void AttentionKernel::chooseQueries() {
  auto divide = [&](Value x, int64_t by) -> std::pair<Value, Value> {
    Value size = ops.i64(by);
    return {arith::DivUIOp::create(builder, loc, x, size),
            arith::RemUIOp::create(builder, loc, x, size)};
  };
  // Blocks that read the same keys follow each other.
  Value head, group;
  std::tie(head, group) = divide(block.block, shape.groups);
  std::tie(ib, ik) = divide(head, k);
  std::tie(warp, lane) = divide(block.thread, kWarp);
  for (int64_t i = 0; i < shape.queries; ++i) {
    Query query;
    Value row = ops.add(ops.mul(group, shape.queries), ops.i64(i));
    if (s * g % shape.queries != 0) {
      query.isMine = ops.compareIndex(P::slt, row, ops.i64(s * g));
      row = ops.select(query.isMine, row, ops.i64(s * g - 1));
    }
    std::tie(query.s, query.g) = divide(row, g);
    chooseKeys(query);
    begin = begin ? min(begin, query.begin) : query.begin;
    end = end ? Value(arith::MaxSIOp::create(builder, loc, end, query.end))
              : query.end;
    queries.push_back(query);
  }
  auto rowOf = [&](ArrayRef<int64_t> view) { // offset, b, t, k
    return ops.add(ops.mul(ib, view[1]), ops.mul(ik, view[3]));
  };
  keyRow = rowOf(op.getKeyView());
  valueRow = rowOf(op.getValueView());
  perLane = lanesOf(v, op.getValueView().drop_front(), value, 4);
}

void AttentionKernel::chooseKeys(Query &query) {
  query.begin = ops.i64(0);
  query.end = ops.i64(t);
  if (lengths)
    query.end = min(query.end, loadIndex(lengths, ib));
  Value position = query.s;
  if (offset) {
    bool perRow = tensorType(offset.value).getNumElements() > 1;
    position = ops.add(position, loadIndex(offset, perRow ? ib : ops.i64(0)));
  }
  if (op.getCausal())
    query.end = min(query.end, ops.add(position, ops.i64(1)));
  if (!op.getWindow())
    return;
  int64_t window = *op.getWindow();
  query.begin = arith::MaxSIOp::create(builder, loc, query.begin,
                                       ops.add(position, ops.i64(1 - window)));
  if (!op.getCausal())
    query.end = min(query.end, ops.add(position, ops.i64(window)));
}

Value AttentionKernel::seenBy(const Query &query, Value key) {
  return ops.both(ops.compareIndex(P::sge, key, query.begin),
                  ops.compareIndex(P::slt, key, query.end));
}

/// To shared memory, in the type that is computed in.
void AttentionKernel::loadQueries() {
  shared = block.shared(compute, std::max<int64_t>(shape.queries * d, 1));
  ArrayRef<int64_t> view = op.getQueryView(); // offset, b, s, k, g
  auto loop = scf::ForOp::create(builder, loc, block.thread, ops.i64(d),
                                 ops.i64(block.threads));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value i = loop.getInductionVar();
  for (auto [number, at] : llvm::enumerate(queries)) {
    Value row = ops.add(ops.add(ops.mul(ib, view[1]), ops.mul(at.s, view[2])),
                        ops.add(ops.mul(ik, view[3]), ops.mul(at.g, view[4])));
    block.storeShared(load(query, ops.add(row, i)), shared,
                      ops.add(ops.i64(number * d), i));
  }
}

//===----------------------------------------------------------------------===//
// A warp's keys
//===----------------------------------------------------------------------===//

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

//===----------------------------------------------------------------------===//
// The block's results
//===----------------------------------------------------------------------===//

/// Through shared memory: peak and sum of each query and warp, and acc.
void AttentionKernel::combineWarps(const States &states) {
  int64_t rows = states.size() * shape.warps;
  Value peaks = block.shared(compute, rows);
  Value sums = block.shared(compute, rows);
  Value all = block.shared(compute, std::max<int64_t>(rows * v, 1));
  for (auto [number, known] : llvm::enumerate(states)) {
    const State &state = known;
    Value row = ops.add(ops.i64(number * shape.warps), warp);
    block.when(ops.compareIndex(P::eq, lane, ops.i64(0)), [&] {
      block.storeShared(state.peak, peaks, row);
      block.storeShared(state.sum, sums, row);
    });
    for (int64_t i = 0, e = state.acc.size(); i < e; ++i) {
      int64_t begin = i / perLane * kWarp * perLane + i % perLane;
      Value at = ops.add(ops.mul(lane, perLane), ops.i64(begin));
      block.when(ops.compareIndex(P::slt, at, ops.i64(v)), [&] {
        block.storeShared(state.acc[i], all, ops.add(ops.mul(row, v), at));
      });
    }
  }
  block.barrier();
  for (size_t i = 0; i < queries.size(); ++i)
    block.when(queries[i].isMine, [&] { storeResult(i, peaks, sums, all); });
}

void AttentionKernel::storeResult(int64_t number, Value peaks, Value sums,
                                  Value acc) {
  const Query &query = queries[number];
  int64_t first = number * shape.warps;
  auto ofWarp = [&](Value memory, int64_t w) {
    return block.loadShared(memory, compute, ops.i64(first + w));
  };
  Value peak = this->number(-INFINITY), total = this->number(0), sink;
  if (sinks)
    peak = sink = toCompute(load(sinks, ops.add(ops.mul(ik, g), query.g)));
  for (int64_t w = 0; w < shape.warps; ++w)
    peak = max(peak, ofWarp(peaks, w));
  if (sink)
    total = weight(sink, peak);
  SmallVector<Value> scales;
  for (int64_t w = 0; w < shape.warps; ++w) {
    scales.push_back(weight(ofWarp(peaks, w), peak));
    total = math.fma(ofWarp(sums, w), scales.back(), total);
  }
  Value nothing = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                        total, this->number(0));
  SmallVector<int64_t> strides =
      rowMajorStrides(tensorType(result.value).getShape());
  Value row = ops.i64(0), at[] = {ib, query.s, ik, query.g};
  for (auto [i, stride] : llvm::zip(at, strides))
    row = ops.add(row, ops.mul(i, stride));
  auto loop = scf::ForOp::create(builder, loc, block.thread, ops.i64(v),
                                 ops.i64(block.threads));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value i = loop.getInductionVar(), sum = this->number(0);
  for (int64_t w = 0; w < shape.warps; ++w)
    sum = math.fma(
        block.loadShared(acc, compute, ops.add(ops.i64((first + w) * v), i)),
        scales[w], sum);
  Value mean = arith::DivFOp::create(builder, loc, sum, total);
  mean = ops.select(nothing, this->number(0), mean);
  ops.store(ops.rounded(mean, element), result.pointer, ops.add(row, i),
            element, {});
}

FailureOr<CudaLaunch> tpc::emitAttention(OpBuilder &builder,
                                         plan::AttentionOp op, StringRef symbol,
                                         ArrayRef<BufferFacts> facts) {
  FailureOr<AttentionShape> shape = AttentionShape::of(op);
  if (failed(shape))
    return failure();
  CudaLaunch launch{symbol.str(),
                    op.getSizes()[0] * op.getSizes()[3] * shape->groups,
                    shape->warps * kWarp};
  OpBuilder::InsertionGuard guard(builder);
  LLVM::LLVMFuncOp kernel =
      createCudaKernel(builder, op.getLoc(), symbol, launch.threads, facts);
  if (launch.blocks > 0)
    AttentionKernel(builder, op, *shape, kernel, facts).emit();
  LLVM::ReturnOp::create(builder, op.getLoc(), ValueRange());
  return launch;
}
