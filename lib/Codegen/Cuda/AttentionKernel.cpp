//===- AttentionKernel.cpp - A block's queries and their results ----------===//

#include "AttentionKernel.h"
#include "LibraryKernels.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tpc/Codegen/MatmulLayout.h"
#include <numeric>

using namespace mlir;
using namespace tpc;
using P = arith::CmpIPredicate;

constexpr int64_t kMaxWarps = 8;
constexpr int64_t kMaxQueries = 4;
/// As long as there are fewer blocks, a block has fewer queries.
constexpr int64_t kEnoughBlocks = 128;
constexpr int64_t kSharedBytes = 48 * 1024;

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

int64_t AttentionKernel::lanesOf(int64_t size, ArrayRef<int64_t> strides,
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
