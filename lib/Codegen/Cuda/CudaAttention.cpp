//===- CudaAttention.cpp - Attention on a GPU -----------------------------===//
//
// A block has one query of one head. Its warps take turns at runs of 32 keys,
// one key a lane, with the softmax of what they have seen so far (Milakov and
// Gimelshein, "Online normalizer calculation for softmax", 2018):
//
//   peak   the largest score
//   sum    sum of w = exp(score - peak)
//   acc    sum of w * value; lane l has the elements l * n, ..., l * n + n - 1
//          of each run of 32 * n
//
// A larger peak scales sum and acc down. At the end the warps' results are
// combined the same way through shared memory. The keys that a query sees are
// an interval, so that nothing is read that no query sees.
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
constexpr int64_t kSharedBytes = 48 * 1024;

SmallVector<Value> tpc::buffersOf(plan::AttentionOp op) {
  SmallVector<Value> buffers{op.getQuery(), op.getKey(), op.getValue()};
  for (Value optional :
       {op.getBias(), op.getLengths(), op.getOffset(), op.getSinks()})
    if (optional)
      buffers.push_back(optional);
  buffers.push_back(op.getResult());
  return buffers;
}

namespace {

/// Elements that stand next to each other and are loaded at once: they divide
/// `size`, and every address is a multiple of their bytes.
int64_t vectorOf(int64_t size, ArrayRef<int64_t> strides, Type element,
                 int64_t alignment, int64_t most) {
  int64_t bytes = elementBytes(element);
  int64_t divisor = std::gcd(size, alignment / bytes);
  for (int64_t stride : strides)
    divisor = std::gcd(divisor, stride);
  return std::min<int64_t>(most, llvm::bit_floor(uint64_t(divisor & -divisor)));
}

class AttentionKernel {
public:
  AttentionKernel(OpBuilder &builder, plan::AttentionOp op,
                  LLVM::LLVMFuncOp kernel, int64_t threads,
                  ArrayRef<BufferFacts> facts)
      : op(op), builder(builder), loc(op.getLoc()),
        ops(builder, loc, LaneTarget::gpu(1), &kernel.getBody().front()),
        math(builder, loc, /*hasExp2=*/true), block(ops, kernel, threads),
        facts(facts) {
    ArrayRef<int64_t> sizes = op.getSizes();
    b = sizes[0], s = sizes[1], t = sizes[2], k = sizes[3], g = sizes[4];
    d = sizes[5], v = sizes[6];
    element = elementOf(op.getResult());
    compute = ops.registerType(element);
    for (auto [i, value] : llvm::enumerate(buffersOf(op)))
      pointers.push_back(kernel.getArgument(i));
  }

  void emit() {
    chooseQuery();
    chooseKeys();
    loadQuery();
    block.barrier();
    State state = seeKeys();
    combineWarps(state);
  }

private:
  struct State {
    Value peak, sum;
    SmallVector<Value> acc;

    static State of(ValueRange all) {
      return {all[0], all[1], SmallVector<Value>(all.drop_front(2))};
    }
    SmallVector<Value> all() const {
      SmallVector<Value> values{peak, sum};
      llvm::append_range(values, acc);
      return values;
    }
  };

  Value pointerOf(Value operand) {
    SmallVector<Value> all = buffersOf(op);
    return pointers[llvm::find(all, operand) - all.begin()];
  }
  int64_t alignmentOf(Value operand) {
    SmallVector<Value> all = buffersOf(op);
    return facts[llvm::find(all, operand) - all.begin()].alignment;
  }
  /// An element of an operand, in registers.
  Value load(Value operand, Value index) {
    return ops.load(pointerOf(operand), index, elementOf(operand), false, {});
  }
  Value loadIndex(Value operand, Value index) {
    return ops.toIndex(load(operand, index));
  }
  /// Converts a float in registers to the type that is computed in.
  Value toCompute(Value x) {
    if (x.getType() == compute)
      return x;
    if (compute.isF64())
      return arith::ExtFOp::create(builder, loc, compute, x);
    return arith::TruncFOp::create(builder, loc, compute, x);
  }
  Value number(double value) {
    return arith::ConstantOp::create(
        builder, loc, FloatAttr::get(cast<FloatType>(compute), value));
  }
  Value fadd(Value x, Value y) {
    return arith::AddFOp::create(builder, loc, x, y);
  }
  Value fmul(Value x, Value y) {
    return arith::MulFOp::create(builder, loc, x, y);
  }
  Value fma(Value x, Value y, Value z) { return math.fma(x, y, z); }
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

  void chooseQuery();
  void chooseKeys();
  void loadQuery();
  State seeKeys();
  State seeRun(Value first, const State &before);
  Value scoreOf(Value key);
  void addValues(Value first, Value weights, SmallVectorImpl<Value> &acc);
  void combineWarps(const State &state);
  /// Where a lane's elements of run `i` of a value begin; without those beyond
  /// the end.
  Value elementsOf(int64_t run);

  plan::AttentionOp op;
  OpBuilder &builder;
  Location loc;
  LaneOps ops;
  VectorMath math;
  BlockOps block;
  ArrayRef<BufferFacts> facts;
  SmallVector<Value> pointers;
  int64_t b, s, t, k, g, d, v;
  Type element, compute;

  Value ib, is, ik, ig;   // the query
  Value warp, lane;       // numbers
  Value begin, end;       // the keys that the query sees
  Value query;            // in shared memory, in the computed type
  Value keyRow, valueRow; // offset of this head's key and value 0
  int64_t perLane = 1;    // value's elements next to each other in a lane
};

} // namespace

void AttentionKernel::chooseQuery() {
  Value rest = block.block;
  auto next = [&](int64_t size) -> Value {
    Value index = arith::RemUIOp::create(builder, loc, rest, ops.i64(size));
    rest = arith::DivUIOp::create(builder, loc, rest, ops.i64(size));
    return index;
  };
  // Blocks that read the same keys follow each other.
  is = next(s), ig = next(g), ik = next(k), ib = rest;
  Value width = ops.i64(kWarp);
  lane = arith::RemUIOp::create(builder, loc, block.thread, width);
  warp = arith::DivUIOp::create(builder, loc, block.thread, width);
  auto rowOf = [&](ArrayRef<int64_t> view) { // offset, b, t, k
    return ops.add(ops.mul(ib, view[1]), ops.mul(ik, view[3]));
  };
  keyRow = rowOf(op.getKeyView());
  valueRow = rowOf(op.getValueView());
  perLane = vectorOf(v, op.getValueView().drop_front(), element,
                     alignmentOf(op.getValue()), 4);
}

void AttentionKernel::chooseKeys() {
  begin = ops.i64(0);
  end = ops.i64(t);
  if (op.getLengths())
    end = min(end, loadIndex(op.getLengths(), ib));
  Value position = is;
  if (op.getOffset()) {
    bool perRow = tensorType(op.getOffset()).getNumElements() > 1;
    position = ops.add(is, loadIndex(op.getOffset(), perRow ? ib : ops.i64(0)));
  }
  if (op.getCausal())
    end = min(end, ops.add(position, ops.i64(1)));
  if (!op.getWindow())
    return;
  int64_t window = *op.getWindow();
  begin = arith::MaxSIOp::create(builder, loc, begin,
                                 ops.add(position, ops.i64(1 - window)));
  if (!op.getCausal())
    end = min(end, ops.add(position, ops.i64(window)));
}

void AttentionKernel::loadQuery() {
  query = block.shared(compute, std::max<int64_t>(d, 1));
  ArrayRef<int64_t> view = op.getQueryView(); // offset, b, s, k, g
  Value row = ops.add(ops.add(ops.mul(ib, view[1]), ops.mul(is, view[2])),
                      ops.add(ops.mul(ik, view[3]), ops.mul(ig, view[4])));
  auto loop = scf::ForOp::create(builder, loc, block.thread, ops.i64(d),
                                 ops.i64(block.threads));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value i = loop.getInductionVar();
  block.storeShared(load(op.getQuery(), ops.add(row, i)), query, i);
}

AttentionKernel::State AttentionKernel::seeKeys() {
  int64_t runs = llvm::divideCeil(v, kWarp * perLane);
  State state{number(-INFINITY), number(0),
              SmallVector<Value>(runs * perLane, number(0))};
  int64_t warps = block.threads / kWarp;
  auto loop =
      scf::ForOp::create(builder, loc, ops.add(begin, ops.mul(warp, kWarp)),
                         end, ops.i64(warps * kWarp), state.all());
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  State after =
      seeRun(loop.getInductionVar(), State::of(loop.getRegionIterArgs()));
  scf::YieldOp::create(builder, loc, after.all());
  return State::of(loop.getResults());
}

/// The keys [first, first + 32), one a lane.
AttentionKernel::State AttentionKernel::seeRun(Value first,
                                               const State &before) {
  Value key = ops.add(first, lane);
  Value isSeen = ops.compareIndex(P::slt, key, end);
  // Lanes behind the end compute the first key's score again.
  Value score = ops.select(isSeen, scoreOf(ops.select(isSeen, key, first)),
                           number(-INFINITY));
  Value peak = max(before.peak, block.reduce(score, kWarp, Reduction::Max));
  Value weights = weight(score, peak);
  Value scale = weight(before.peak, peak);
  State state{
      peak,
      fma(before.sum, scale, block.reduce(weights, kWarp, Reduction::Sum)),
      {}};
  for (Value acc : before.acc)
    state.acc.push_back(fmul(acc, scale));
  addValues(first, weights, state.acc);
  return state;
}

Value AttentionKernel::scoreOf(Value key) {
  ArrayRef<int64_t> view = op.getKeyView();
  int64_t lanes =
      vectorOf(d, view.drop_front(), element, alignmentOf(op.getKey()), 8);
  Value row = ops.add(keyRow, ops.mul(key, view[2]));
  auto loop = scf::ForOp::create(builder, loc, ops.i64(0), ops.i64(d),
                                 ops.i64(lanes), ValueRange{number(0)});
  {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(loop.getBody());
    LaneOps wide(builder, loc, LaneTarget::gpu(lanes),
                 &loop->getParentOfType<LLVM::LLVMFuncOp>().getBody().front());
    Value i = loop.getInductionVar(), sum = loop.getRegionIterArg(0);
    Value part = wide.load(pointerOf(op.getKey()), ops.add(row, i), element,
                           lanes > 1, {}, lanes * elementBytes(element));
    for (int64_t l = 0; l < lanes; ++l) {
      Value x = block.loadShared(query, compute, ops.add(i, ops.i64(l)));
      sum = fma(x, wide.lane(part, l), sum);
    }
    scf::YieldOp::create(builder, loc, sum);
  }
  Value score =
      fmul(loop.getResult(0), number(op.getScale().convertToDouble()));
  if (op.getSoftcap()) {
    Value cap = number(op.getSoftcap()->convertToDouble());
    Value share = arith::DivFOp::create(builder, loc, score, cap);
    score = fmul(cap, math.tanh(share));
  }
  if (op.getBias()) {
    ArrayRef<int64_t> at = *op.getBiasView(); // offset, b, k, g, s, t
    Value index = ops.mul(key, at[5]);
    for (auto [i, stride] :
         llvm::zip_equal(ArrayRef<Value>{ib, ik, ig, is}, at.slice(1, 4)))
      index = ops.add(index, ops.mul(i, stride));
    score = fadd(score, toCompute(load(op.getBias(), index)));
  }
  return score;
}

Value AttentionKernel::elementsOf(int64_t run) {
  Value first = ops.add(ops.mul(lane, perLane), ops.i64(run * kWarp * perLane));
  if ((run + 1) * kWarp * perLane <= v)
    return first;
  Value inside = ops.compareIndex(P::slt, first, ops.i64(v));
  return ops.select(inside, first, ops.i64(0));
}

/// acc += weight * value for the run's keys.
void AttentionKernel::addValues(Value first, Value weights,
                                SmallVectorImpl<Value> &acc) {
  if (v == 0)
    return;
  Value count =
      min(ops.i64(kWarp), arith::SubIOp::create(builder, loc, end, first));
  auto loop =
      scf::ForOp::create(builder, loc, ops.i64(0), count, ops.i64(1), acc);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value j = loop.getInductionVar();
  Value w = block.broadcast(weights, j);
  Value row =
      ops.add(valueRow, ops.mul(ops.add(first, j), op.getValueView()[2]));
  LaneOps wide(builder, loc, LaneTarget::gpu(perLane),
               &loop->getParentOfType<LLVM::LLVMFuncOp>().getBody().front());
  SmallVector<Value> sums;
  for (int64_t run = 0; run * perLane < int64_t(acc.size()); ++run) {
    Value part =
        wide.load(pointerOf(op.getValue()), ops.add(row, elementsOf(run)),
                  element, perLane > 1, {}, perLane * elementBytes(element));
    for (int64_t l = 0; l < perLane; ++l)
      sums.push_back(
          fma(w, wide.lane(part, l), loop.getRegionIterArg(run * perLane + l)));
  }
  scf::YieldOp::create(builder, loc, sums);
  acc.assign(loop.getResults().begin(), loop.getResults().end());
}

/// Through shared memory: peak and sum of each warp, and its acc.
void AttentionKernel::combineWarps(const State &state) {
  int64_t warps = block.threads / kWarp;
  Value peaks = block.shared(compute, warps);
  Value sums = block.shared(compute, warps);
  Value all = block.shared(compute, std::max<int64_t>(warps * v, 1));
  block.when(ops.compareIndex(P::eq, lane, ops.i64(0)), [&] {
    block.storeShared(state.peak, peaks, warp);
    block.storeShared(state.sum, sums, warp);
  });
  for (size_t i = 0; i < state.acc.size(); ++i) {
    Value at = ops.add(ops.mul(lane, perLane),
                       ops.i64(i / perLane * kWarp * perLane + i % perLane));
    block.when(ops.compareIndex(P::slt, at, ops.i64(v)), [&] {
      block.storeShared(state.acc[i], all, ops.add(ops.mul(warp, v), at));
    });
  }
  block.barrier();
  Value peak = number(-INFINITY), total = number(0), sink;
  if (op.getSinks()) {
    sink = toCompute(load(op.getSinks(), ops.add(ops.mul(ik, g), ig)));
    peak = sink;
  }
  auto ofWarp = [&](Value memory, int64_t w) {
    return block.loadShared(memory, compute, ops.i64(w));
  };
  for (int64_t w = 0; w < warps; ++w)
    peak = max(peak, ofWarp(peaks, w));
  if (sink)
    total = weight(sink, peak);
  SmallVector<Value> scales;
  for (int64_t w = 0; w < warps; ++w) {
    scales.push_back(weight(ofWarp(peaks, w), peak));
    total = fma(ofWarp(sums, w), scales.back(), total);
  }
  Value nothing = arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OEQ,
                                        total, number(0));
  auto loop = scf::ForOp::create(builder, loc, block.thread, ops.i64(v),
                                 ops.i64(block.threads));
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Value i = loop.getInductionVar(), sum = number(0);
  for (int64_t w = 0; w < warps; ++w)
    sum = fma(block.loadShared(all, compute, ops.add(ops.i64(w * v), i)),
              scales[w], sum);
  Value result =
      ops.select(nothing, number(0),
                 Value(arith::DivFOp::create(builder, loc, sum, total)));
  Value index = i;
  SmallVector<int64_t> strides =
      rowMajorStrides(tensorType(op.getResult()).getShape());
  for (auto [at, stride] :
       llvm::zip_equal(ArrayRef<Value>{ib, is, ik, ig},
                       ArrayRef<int64_t>(strides).drop_back()))
    index = ops.add(index, ops.mul(at, stride));
  ops.store(ops.rounded(result, element), pointerOf(op.getResult()), index,
            element, {});
}

/// As many warps as have keys, and room for their results in shared memory.
static FailureOr<int64_t> chooseWarps(plan::AttentionOp op) {
  ArrayRef<int64_t> sizes = op.getSizes();
  int64_t t = sizes[2], d = sizes[5], v = sizes[6];
  int64_t bytes = elementOf(op.getResult()).isF64() ? 8 : 4;
  int64_t warps = std::clamp<int64_t>(
      llvm::PowerOf2Ceil(llvm::divideCeil(t, kWarp)), 1, kMaxWarps);
  auto room = [&] { return bytes * (d + warps * (v + 2)); };
  while (warps > 1 && room() > kSharedBytes)
    warps /= 2;
  if (room() > kSharedBytes)
    return op.emitOpError("with keys of ")
           << d << " and values of " << v << " elements needs " << room()
           << " bytes of shared memory, and a block of a GPU has "
           << kSharedBytes;
  return warps;
}

FailureOr<CudaLaunch> tpc::emitAttention(OpBuilder &builder,
                                         plan::AttentionOp op, StringRef symbol,
                                         ArrayRef<BufferFacts> facts) {
  ArrayRef<int64_t> sizes = op.getSizes();
  FailureOr<int64_t> warps = chooseWarps(op);
  if (failed(warps))
    return failure();
  CudaLaunch launch{symbol.str(), sizes[0] * sizes[1] * sizes[3] * sizes[4],
                    *warps * kWarp};
  OpBuilder::InsertionGuard guard(builder);
  LLVM::LLVMFuncOp kernel =
      createCudaKernel(builder, op.getLoc(), symbol, launch.threads, facts);
  if (launch.blocks > 0)
    AttentionKernel(builder, op, kernel, launch.threads, facts).emit();
  LLVM::ReturnOp::create(builder, op.getLoc(), ValueRange());
  return launch;
}
