//===- KernelEmitter.cpp - Loops of a kernel on a CPU ---------------------===//

#include "KernelEmitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "tpc/Codegen/MatmulLayout.h"

using namespace mlir;
using namespace tpc;

/// Independent accumulators of a long reduction.
constexpr int64_t kUnroll = 4;

LogicalResult KernelEmitter::emit(OpBuilder &builder,
                                  plan::KernelFuncOp function,
                                  const CpuKind &kind) {
  KernelBody body = KernelBody::of(function);
  std::string why;
  std::optional<KernelShape> shape = computeShape(body, &why);
  if (!shape)
    return function.emitOpError("does not fit one kernel: ") << why;
  OpBuilder::InsertionGuard guard(builder);
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Type i64 = builder.getI64Type();
  auto type = LLVM::LLVMFunctionType::get(
      LLVM::LLVMVoidType::get(builder.getContext()), {pointer, i64, i64});
  auto target = LLVM::LLVMFuncOp::create(builder, function.getLoc(),
                                         function.getSymName(), type);
  builder.setInsertionPointToStart(target.addEntryBlock(builder));
  KernelEmitter emitter(builder, function, body, *shape, kind, target);
  return emitter.run();
}

KernelEmitter::KernelEmitter(OpBuilder &builder, plan::KernelFuncOp function,
                             const KernelBody &body, const KernelShape &shape,
                             const CpuKind &kind, LLVM::LLVMFuncOp target)
    : KernelPoints(builder, function, body, shape,
                   {shape.scalar ? 1 : kind.vectorLanes, kind.roundsToBf16},
                   &target.getBody().front()),
      target(target) {}

LogicalResult KernelEmitter::run() {
  loadPointers();
  makeScratch();
  Value begin = target.getArgument(1), end = target.getArgument(2);
  auto tiles = scf::ForOp::create(builder, loc, begin, end, ops.i64(1));
  builder.setInsertionPointToStart(tiles.getBody());
  indexRows(tiles.getInductionVar());
  if (isSpecial())
    emitSpecial();
  else if (failed(emitTile()))
    return failure();
  builder.setInsertionPointAfter(tiles);
  LLVM::ReturnOp::create(builder, loc, ValueRange());
  return success();
}

void KernelEmitter::loadPointers() {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  takeBuffers([&](unsigned index) -> Buffer {
    Value slot = LLVM::GEPOp::create(
        builder, loc, pointer, pointer, target.getArgument(0),
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
    return {LLVM::LoadOp::create(builder, loc, pointer, slot)};
  });
}

void KernelEmitter::makeScratch() {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  int64_t room = shape.lanes.extent + kUnroll * ops.lanes;
  for (Value value : shape.kept) {
    Type element = ops.registerType(elementOf(value));
    Value memory = LLVM::AllocaOp::create(builder, loc, pointer, element,
                                          ops.i64(room), /*alignment=*/64);
    evaluator.setScratch(value, memory);
  }
}

/// tile -> (row, chunk)
void KernelEmitter::indexRows(Value tile) {
  Value row = tile;
  if (shape.chunk != shape.lanes.extent) {
    Value chunks = ops.i64(ceilDiv(shape.lanes.extent, shape.chunk));
    Value chunk = arith::RemUIOp::create(builder, loc, tile, chunks);
    chunkBegin = ops.mul(chunk, shape.chunk);
    row = arith::DivUIOp::create(builder, loc, tile, chunks);
  }
  indexRow(row);
}

LogicalResult KernelEmitter::emitTile() {
  for (unsigned pass = 0; pass < shape.passes.size(); ++pass)
    if (failed(emitPass(pass)))
      return failure();
  FailureOr<Stores> stores = rowStores();
  if (failed(stores))
    return failure();
  write(*stores);
  return success();
}

//===----------------------------------------------------------------------===//
// Passes over a row
//===----------------------------------------------------------------------===//

LogicalResult KernelEmitter::emitPass(unsigned pass) {
  evaluator.beginPass();
  bool isLast = pass + 1 == shape.passes.size();
  bool stores = isLast && llvm::any_of(body.outputs, [&](Value output) {
                  return isFull(output);
                });
  if (shape.passes[pass].empty() && !stores)
    return success();
  if (shape.chunk != shape.lanes.extent)
    return emitChunkLanes(pass);
  Accumulators sums;
  if (failed(emitStaticLanes(pass, sums)))
    return failure();
  finishReductions(pass, sums);
  return success();
}

/// A row of known length: unrolled vectors, vectors, one masked vector.
LogicalResult KernelEmitter::emitStaticLanes(unsigned pass,
                                             Accumulators &sums) {
  int64_t extent = shape.lanes.extent, lanes = ops.lanes;
  bool reduces = !shape.passes[pass].empty();
  int64_t unroll = reduces && extent >= kUnroll * lanes ? kUnroll : 1;
  for (int64_t u = 0; u < unroll; ++u)
    for (ReduceOp reduce : shape.passes[pass]) {
      Type type = ops.registerType(elementOf(reduce.getResult()));
      sums.push_back(ops.spread(ops.identity(reduce.getReduction(), type)));
    }
  int64_t step = unroll * lanes;
  int64_t unrolled = extent / step * step, whole = extent / lanes * lanes;
  if (unrolled > 0 &&
      failed(emitLoop(pass, ops.i64(0), ops.i64(unrolled), unroll, 0, sums)))
    return failure();
  if (whole > unrolled &&
      failed(emitLoop(pass, ops.i64(unrolled), ops.i64(whole), 1, 0, sums)))
    return failure();
  if (extent > whole)
    return emitLanes(pass, ops.i64(whole), extent - whole, nullptr, sums);
  return success();
}

/// Columns [chunkBegin, chunkBegin + chunk) of a row; only the last chunk of a
/// row may end with a masked vector.
LogicalResult KernelEmitter::emitChunkLanes(unsigned pass) {
  int64_t extent = shape.lanes.extent, lanes = ops.lanes;
  Accumulators none;
  Value end = ops.add(chunkBegin, ops.i64(shape.chunk));
  Value wholeEnd = arith::MinSIOp::create(builder, loc, end,
                                          ops.i64(extent / lanes * lanes));
  if (failed(emitLoop(pass, chunkBegin, wholeEnd, 1, 0, none)))
    return failure();
  if (extent % lanes == 0)
    return success();
  Value rowEnd = arith::MinSIOp::create(builder, loc, end, ops.i64(extent));
  return emitLoop(pass, wholeEnd, rowEnd, 1, extent % lanes, none);
}

/// for column = low to high in steps of `vectors` vectors.
LogicalResult KernelEmitter::emitLoop(unsigned pass, Value low, Value high,
                                      int64_t vectors, int64_t maskedLanes,
                                      Accumulators &sums) {
  auto loop = scf::ForOp::create(builder, loc, low, high,
                                 ops.i64(vectors * ops.lanes), sums);
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(loop.getBody());
  Accumulators inside(loop.getRegionIterArgs());
  size_t perVector = shape.passes[pass].size();
  for (int64_t v = 0; v < vectors; ++v) {
    Value column = ops.add(loop.getInductionVar(), ops.i64(v * ops.lanes));
    if (failed(
            emitLanes(pass, column, maskedLanes, loop,
                      MutableArrayRef(inside).slice(v * perVector, perVector))))
      return failure();
  }
  if (!sums.empty())
    scf::YieldOp::create(builder, loc, inside);
  sums.assign(loop.getResults().begin(), loop.getResults().end());
  return success();
}

/// One vector at `column`: adds to the reductions and stores the outputs.
LogicalResult KernelEmitter::emitLanes(unsigned pass, Value column,
                                       int64_t maskedLanes, Operation *loop,
                                       MutableArrayRef<Value> sums) {
  Value mask = maskedLanes ? ops.firstLanes(maskedLanes) : Value();
  evaluator.enterLanes(loop, column, mask);
  // Loops over lanes begin and step at multiples of a vector.
  PointIndices indices = domainIndices(column, shape.domain.size(), ops.lanes);
  for (auto [i, op] : llvm::enumerate(shape.passes[pass])) {
    ReduceOp reduce = op;
    FailureOr<Value> element = evaluator.at(reduce.getOperand(), indices);
    if (failed(element))
      return failure();
    Value value = ops.spread(*element);
    if (mask)
      value = ops.select(
          mask, value,
          ops.identity(reduce.getReduction(), getElementTypeOrSelf(value)));
    sums[i] = ops.combine(reduce.getReduction(), sums[i], value);
  }
  if (pass + 1 == shape.passes.size()) {
    FailureOr<Stores> stores = pointStores(indices);
    if (failed(stores))
      return failure();
    write(*stores, mask);
  }
  evaluator.leaveLanes();
  return success();
}

/// Combines the accumulators of each reduction, then its lanes.
void KernelEmitter::finishReductions(unsigned pass, Accumulators &sums) {
  size_t count = shape.passes[pass].size();
  for (auto [i, op] : llvm::enumerate(shape.passes[pass])) {
    ReduceOp reduce = op;
    Value total = sums[i];
    for (size_t j = i + count; j < sums.size(); j += count)
      total = ops.combine(reduce.getReduction(), total, sums[j]);
    total = ops.acrossLanes(reduce.getReduction(), total);
    evaluator.define(reduce.getResult(),
                     ops.rounded(total, elementOf(reduce.getResult())));
  }
}
