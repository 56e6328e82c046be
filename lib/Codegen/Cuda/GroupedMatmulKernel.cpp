//===- GroupedMatmulKernel.cpp - Rows times chosen matrices on a GPU ------===//
//
// Where the columns of a matrix lie next to each other, a thread computes an
// element of the result; where its rows do, a warp does:
//
//   f_stride = 1   thread i of a block has column i, its warp reads 32
//   d_stride = 1   lane l of a warp has the rows l, l + 32, ... of one column
//
//===----------------------------------------------------------------------===//

#include "../VectorMath.h"
#include "BlockOps.h"
#include "LibraryKernels.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tpc;
using P = arith::CmpIPredicate;

constexpr int64_t kThreads = 128;

CudaLaunch tpc::emitGroupedMatmul(OpBuilder &builder, plan::GroupedMatmulOp op,
                                  StringRef symbol,
                                  ArrayRef<BufferFacts> facts) {
  ArrayRef<int64_t> sizes = op.getSizes(), view = op.getView();
  int64_t n = sizes[0], c = sizes[1], e = sizes[2], d = sizes[3], f = sizes[4];
  int64_t dStride = view[2], fStride = view[3];
  // Threads that share an element of the result, and elements of a block.
  int64_t width = dStride == 1 && fStride != 1 ? kWarp : 1;
  int64_t perBlock = kThreads / width;
  int64_t runs = llvm::divideCeil(f, perBlock);
  CudaLaunch launch{symbol.str(), n * c * runs, kThreads};

  OpBuilder::InsertionGuard guard(builder);
  Location loc = op.getLoc();
  LLVM::LLVMFuncOp kernel =
      createCudaKernel(builder, loc, symbol, launch.threads, facts);
  if (launch.blocks == 0) {
    LLVM::ReturnOp::create(builder, loc, ValueRange());
    return launch;
  }
  LaneOps ops(builder, loc, LaneTarget::gpu(1), &kernel.getBody().front());
  BlockOps block(ops, kernel, launch.threads);
  Type element = elementOf(op.getResult());
  Type compute = ops.registerType(element);
  auto load = [&](int64_t buffer, Value index, Type type) {
    return ops.load(kernel.getArgument(buffer), index, type, false, {});
  };
  auto divide = [&](Value x, int64_t by) -> std::pair<Value, Value> {
    Value size = ops.i64(by);
    return {arith::DivUIOp::create(builder, loc, x, size),
            arith::RemUIOp::create(builder, loc, x, size)};
  };
  Value pair, run, inBlock, part; // pair = row * c + choice
  std::tie(pair, run) = divide(block.block, runs);
  std::tie(inBlock, part) = divide(block.thread, width);
  Value column = ops.add(ops.mul(run, perBlock), inBlock);
  Value inside = ops.compareIndex(P::slt, column, ops.i64(f));
  Value safe = ops.select(inside, column, ops.i64(0));
  Value matrix = ops.toIndex(load(1, pair, elementOf(op.getChoices())));
  Value chosen = ops.both(ops.compareIndex(P::sge, matrix, ops.i64(0)),
                          ops.compareIndex(P::slt, matrix, ops.i64(e)));
  bool rowPerChoice = tensorType(op.getRows()).getNumElements() != n * d;
  Value row = ops.mul(rowPerChoice ? pair : divide(pair, c).first, d);
  Value weights = ops.add(ops.mul(matrix, view[1]), ops.mul(safe, fStride));
  // Without a choice the loop is empty.
  Value count = ops.select(chosen, ops.i64(d), ops.i64(0));
  auto loop = scf::ForOp::create(builder, loc, part, count, ops.i64(width),
                                 ValueRange{ops.zero(compute)});
  {
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Value i = loop.getInductionVar();
    Value x = load(0, ops.add(row, i), element);
    Value w = load(2, ops.add(weights, ops.mul(i, dStride)), element);
    Value sum = VectorMath(builder, loc).fma(x, w, loop.getRegionIterArg(0));
    scf::YieldOp::create(builder, loc, sum);
  }
  Value sum = block.reduce(loop.getResult(0), width, Reduction::Sum);
  Value first = ops.compareIndex(P::eq, part, ops.i64(0));
  block.when(ops.both(inside, first), [&] {
    ops.store(ops.rounded(sum, element), kernel.getArgument(3),
              ops.add(ops.mul(pair, f), column), element, {});
  });
  LLVM::ReturnOp::create(builder, loc, ValueRange());
  return launch;
}
