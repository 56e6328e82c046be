//===- MatmulKernel.cpp - Products that no library computes on a GPU ------===//
//
// Integers, operands of two types and sums of nothing, which cuBLASLt refuses.
// As for grouped products, elements of the result that lie next to each other
// belong to threads that do if the columns of b are contiguous; where its rows
// are, a warp computes an element:
//
//   b n_stride = 1   thread i of a block has element i, its warp reads 32
//   b k_stride = 1   lane l of a warp has the terms l, l + 32, ... of one sum
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

bool tpc::isLibraryProduct(plan::MatmulOp op) {
  Type a = elementOf(op.getLhs()), b = elementOf(op.getRhs()),
       c = elementOf(op.getResult());
  bool isSame = a == b && b == c;
  bool isKnown = a == b && (a.isBF16() || a.isF16())
                     ? isSame || c.isF32()
                     : isSame && (a.isF32() || a.isF64());
  return isKnown && op.getSizes()[2] > 0;
}

namespace {

/// Where an element of the result is in all three tensors.
struct Indices {
  Value a, b, c;

  /// Takes `steps` along a dimension with these strides.
  void advance(LaneOps &ops, Value steps, int64_t aStride, int64_t bStride,
               int64_t cStride) {
    a = ops.add(a, ops.mul(steps, aStride));
    b = ops.add(b, ops.mul(steps, bStride));
    c = ops.add(c, ops.mul(steps, cStride));
  }
};

} // namespace

/// Of element `number` of [batch..., m, n]; the last dimension is fastest.
static Indices indicesOf(LaneOps &ops, plan::MatmulOp op, Value number) {
  auto cut = [&](int64_t size) -> Value {
    Value by = ops.i64(size);
    Value rest = arith::RemUIOp::create(ops.builder, ops.loc, number, by);
    number = arith::DivUIOp::create(ops.builder, ops.loc, number, by);
    return rest;
  };
  Value zero = ops.i64(0);
  Indices at{zero, zero, zero};
  at.advance(ops, cut(op.getSizes()[1]), 0, op.getB()[2], op.getC()[1]);
  at.advance(ops, cut(op.getSizes()[0]), op.getA()[1], 0, op.getC()[0]);
  for (size_t i = op.getBatch().size(); i-- > 0;)
    at.advance(ops, cut(op.getBatch()[i]), op.getBatchA()[i], op.getBatchB()[i],
               op.getBatchC()[i]);
  return at;
}

FailureOr<CudaLaunch> tpc::emitMatmul(OpBuilder &builder, plan::MatmulOp op,
                                      StringRef symbol,
                                      ArrayRef<BufferFacts> facts) {
  if (op.getBias() || op.getActivation())
    return op.emitOpError("expected no bias or activation with a product that "
                          "cuBLASLt does not compute");
  int64_t k = op.getSizes()[2], aStride = op.getA()[2], bStride = op.getB()[1];
  int64_t elements = op.getSizes()[0] * op.getSizes()[1];
  for (int64_t size : op.getBatch())
    elements *= size;
  // Threads that share an element of the result, and elements of a block.
  int64_t width = bStride == 1 && op.getB()[2] != 1 ? kWarp : 1;
  int64_t perBlock = kThreads / width;
  int64_t blocks = llvm::divideCeil(elements, perBlock);
  CudaLaunch launch{symbol.str(), blocks, kThreads};

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
  Type aType = elementOf(op.getLhs()), bType = elementOf(op.getRhs());
  Type result = elementOf(op.getResult());
  Type compute = ops.registerType(result);
  Value inBlock =
      arith::DivUIOp::create(builder, loc, block.thread, ops.i64(width));
  Value part =
      arith::RemUIOp::create(builder, loc, block.thread, ops.i64(width));
  Value number = ops.add(ops.mul(block.block, perBlock), inBlock);
  Value inside = ops.compareIndex(P::slt, number, ops.i64(elements));
  Indices at = indicesOf(ops, op, ops.select(inside, number, ops.i64(0)));
  auto loop = scf::ForOp::create(builder, loc, part, ops.i64(k), ops.i64(width),
                                 ValueRange{ops.zero(compute)});
  {
    OpBuilder::InsertionGuard inner(builder);
    builder.setInsertionPointToStart(loop.getBody());
    Indices here = at;
    here.advance(ops, loop.getInductionVar(), aStride, bStride, 0);
    Value x = ops.load(kernel.getArgument(0), here.a, aType, false, {});
    Value y = ops.load(kernel.getArgument(1), here.b, bType, false, {});
    Value sum = loop.getRegionIterArg(0);
    if (isa<IntegerType>(compute))
      sum = ops.combine(Reduction::Sum, sum,
                        arith::MulIOp::create(builder, loc, x, y));
    else
      sum = VectorMath(builder, loc).fma(x, y, sum);
    scf::YieldOp::create(builder, loc, sum);
  }
  Value sum = block.reduce(loop.getResult(0), width, Reduction::Sum);
  Value first = ops.compareIndex(P::eq, part, ops.i64(0));
  block.when(ops.both(inside, first), [&] {
    ops.store(ops.rounded(sum, result), kernel.getArgument(2), at.c, result,
              {});
  });
  LLVM::ReturnOp::create(builder, loc, ValueRange());
  return launch;
}
