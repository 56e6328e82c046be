//===- CudaKernel.cpp - Threads of a kernel on a GPU ----------------------===//

#include "CudaKernel.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tpc/Codegen/CoreBuilder.h"

using namespace mlir;
using namespace tpc;
using P = arith::CmpIPredicate;

FailureOr<CudaShape> CudaKernel::emit(OpBuilder &builder,
                                      plan::KernelFuncOp function,
                                      ArrayRef<BufferFacts> facts) {
  KernelBody body = KernelBody::of(function);
  std::string why;
  std::optional<KernelShape> shape = computeShape(body, &why);
  if (!shape)
    return function.emitOpError("does not fit one kernel: ") << why;
  CudaShape cuda = cudaShapeOf(function, body, *shape);
  OpBuilder::InsertionGuard guard(builder);
  LLVM::LLVMFuncOp kernel = createCudaKernel(
      builder, function.getLoc(), function.getSymName(), cuda.threads, facts);
  CudaKernel emitter(builder, function, body, *shape, cuda, kernel);
  if (cuda.blocks > 0 && failed(emitter.run(facts)))
    return failure();
  LLVM::ReturnOp::create(builder, function.getLoc(), ValueRange());
  return cuda;
}

CudaKernel::CudaKernel(OpBuilder &builder, plan::KernelFuncOp function,
                       const KernelBody &body, const KernelShape &shape,
                       const CudaShape &cuda, LLVM::LLVMFuncOp kernel)
    : KernelPoints(builder, function, body, shape, LaneTarget::gpu(cuda.lanes),
                   &kernel.getBody().front()),
      cuda(cuda), threads(ops, kernel, cuda.threads) {}

LogicalResult CudaKernel::run(ArrayRef<BufferFacts> facts) {
  Block *entry = builder.getInsertionBlock();
  takeBuffers([&](unsigned i) -> Buffer {
    return {entry->getArgument(i), facts[i].alignment};
  });
  if (!cuda.rowThreads)
    return emitFlat();
  chooseRow();
  if (!isSpecial())
    return emitRows();
  llvm::TypeSwitch<Operation *>(body.ops.front())
      .Case([&](SortOp op) { emitSort(op); })
      .Case([&](TopKOp op) { emitTopK(op); });
  return success();
}

LogicalResult CudaKernel::emitFlat() {
  int64_t vectors = shape.lanes.extent / cuda.lanes;
  int64_t total = shape.numRows() * vectors;
  Value number = threads.globalThread(total);
  auto emitPoint = [&]() -> LogicalResult {
    Value row = ops.i64(0), vector = number;
    if (shape.numRows() > 1) {
      row = arith::DivUIOp::create(builder, loc, number, ops.i64(vectors));
      vector = arith::RemUIOp::create(builder, loc, number, ops.i64(vectors));
    }
    indexRow(row);
    Value column = ops.mul(vector, cuda.lanes);
    evaluator.enterLanes(nullptr, column, {});
    if (isSpecial()) {
      scatterAdd(cast<ScatterAddOp>(body.ops.front()), column, {}, cuda.lanes);
      return success();
    }
    FailureOr<Stores> stores =
        pointStores(domainIndices(column, shape.domain.size(), cuda.lanes));
    if (succeeded(stores))
      write(*stores);
    return stores;
  };
  Value active;
  if (total != cuda.blocks * cuda.threads)
    active = ops.compareIndex(P::slt, number, ops.i64(total));
  LogicalResult result = success();
  threads.when(active, [&] { result = emitPoint(); });
  return result;
}

//===----------------------------------------------------------------------===//
// Kernels that reduce rows
//===----------------------------------------------------------------------===//

void CudaKernel::chooseRow() {
  Value row = threads.block;
  threadOfRow = threads.thread;
  int64_t rows = shape.numRows(), perBlock = cuda.rowsPerBlock();
  if (perBlock > 1) {
    Value width = ops.i64(cuda.rowThreads);
    threadOfRow = arith::RemUIOp::create(builder, loc, threads.thread, width);
    row = ops.add(ops.mul(threads.block, perBlock),
                  arith::DivUIOp::create(builder, loc, threads.thread, width));
  }
  if (rows % perBlock != 0) {
    rowActive = ops.compareIndex(P::slt, row, ops.i64(rows));
    row = ops.select(rowActive, row, ops.i64(rows - 1));
  }
  indexRow(row);
}

CudaKernel::Columns CudaKernel::columnsOf(Value round, bool mayBeBeyond) {
  Value vector = ops.add(ops.mul(round, cuda.rowThreads), threadOfRow);
  Value column = ops.mul(vector, cuda.lanes);
  if (!mayBeBeyond)
    return {column, {}};
  Value active = ops.compareIndex(P::slt, column, ops.i64(shape.lanes.extent));
  return {ops.select(active, column, ops.i64(0)), active};
}

LogicalResult CudaKernel::emitRows() {
  evaluator.enterLanes(nullptr, {}, {});
  int64_t perRound = cuda.rowThreads * cuda.lanes;
  if (cuda.unrolled)
    for (int64_t i = 0; i < cuda.rounds; ++i)
      allRounds.push_back(
          columnsOf(ops.i64(i), (i + 1) * perRound > shape.lanes.extent));
  for (unsigned pass = 0; pass < shape.passes.size(); ++pass)
    if (failed(emitPass(pass)))
      return failure();
  evaluator.leaveLanes();
  return storeRows();
}

/// In an unrolled kernel all passes are one piece of straight code, so that
/// they share what they evaluate at the same columns.
LogicalResult CudaKernel::emitPass(unsigned pass) {
  bool stores = pass + 1 == shape.passes.size() &&
                llvm::any_of(body.outputs, [&](Value o) { return isFull(o); });
  if (shape.passes[pass].empty() && !stores)
    return success();
  Sums sums;
  for (ReduceOp reduce : shape.passes[pass]) {
    Type type = ops.registerType(elementOf(reduce.getResult()));
    sums.push_back(ops.spread(ops.identity(reduce.getReduction(), type)));
  }
  if (cuda.unrolled) {
    for (Columns columns : allRounds)
      if (failed(emitColumns(pass, columns, sums)))
        return failure();
  } else if (failed(emitLoop(pass, sums))) {
    return failure();
  }
  finishReductions(pass, sums);
  return success();
}

LogicalResult CudaKernel::emitLoop(unsigned pass, Sums &sums) {
  auto loop = scf::ForOp::create(builder, loc, ops.i64(0), ops.i64(cuda.rounds),
                                 ops.i64(1), sums);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  bool mayBeBeyond = shape.lanes.extent % (cuda.rowThreads * cuda.lanes) != 0;
  Columns columns = columnsOf(loop.getInductionVar(), mayBeBeyond);
  evaluator.enterLanes(loop, columns.first, {});
  Sums inside(loop.getRegionIterArgs());
  if (failed(emitColumns(pass, columns, inside)))
    return failure();
  evaluator.leaveLanes();
  if (!sums.empty())
    scf::YieldOp::create(builder, loc, inside);
  sums.assign(loop.getResults().begin(), loop.getResults().end());
  return success();
}

/// Adds one round's columns to the reductions; in the last pass, stores the
/// outputs there.
LogicalResult CudaKernel::emitColumns(unsigned pass, Columns columns,
                                      Sums &sums) {
  PointIndices indices =
      domainIndices(columns.first, shape.domain.size(), cuda.lanes);
  for (auto [i, op] : llvm::enumerate(shape.passes[pass])) {
    ReduceOp reduce = op;
    FailureOr<Value> element = evaluator.at(reduce.getOperand(), indices);
    if (failed(element))
      return failure();
    Value value = ops.spread(*element);
    if (columns.active)
      value = ops.select(
          columns.active, value,
          ops.identity(reduce.getReduction(), getElementTypeOrSelf(value)));
    sums[i] = ops.combine(reduce.getReduction(), sums[i], value);
  }
  if (pass + 1 != shape.passes.size())
    return success();
  FailureOr<Stores> stores = pointStores(indices);
  if (failed(stores))
    return failure();
  if (!stores->empty())
    threads.when(ops.both(columns.active, rowActive), [&] { write(*stores); });
  return success();
}

/// Across a thread's lanes, then across the row's threads; one barrier for all
/// reductions of a pass.
void CudaKernel::finishReductions(unsigned pass, Sums &sums) {
  ArrayRef<ReduceOp> reduces = shape.passes[pass];
  if (reduces.empty())
    return;
  for (auto [sum, op] : llvm::zip_equal(sums, reduces))
    sum = ops.acrossLanes(ReduceOp(op).getReduction(), sum);
  BlockOps::Values totals = threads.reduce(
      sums, cuda.rowThreads,
      [&](ArrayRef<Value> a, ArrayRef<Value> b) -> BlockOps::Values {
        BlockOps::Values both;
        for (auto [i, op] : llvm::enumerate(reduces))
          both.push_back(ops.combine(ReduceOp(op).getReduction(), a[i], b[i]));
        return both;
      });
  for (auto [total, op] : llvm::zip_equal(totals, reduces)) {
    ReduceOp reduce = op;
    evaluator.define(reduce.getResult(),
                     ops.rounded(total, elementOf(reduce.getResult())));
  }
}

/// Whether a row's output may lie in an operand that all its threads read.
bool CudaKernel::sharesRowValues() {
  return llvm::any_of(shape.inPlace, [&](auto pair) {
    return !isFull(body.outputs[pair.first]);
  });
}

LogicalResult CudaKernel::storeRows() {
  FailureOr<Stores> stores = rowStores();
  if (failed(stores))
    return failure();
  if (stores->empty())
    return success();
  if (sharesRowValues())
    threads.barrier();
  Value first = ops.compareIndex(P::eq, threadOfRow, ops.i64(0));
  threads.when(ops.both(first, rowActive), [&] { write(*stores); });
  return success();
}
