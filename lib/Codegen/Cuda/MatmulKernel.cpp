//===- MatmulKernel.cpp - Products that no library computes on a GPU ------===//
//
// Integers, operands of two types and sums of nothing, which cuBLASLt refuses.
// As for grouped products, elements of the result that lie next to each other
// belong to threads that do if the columns of b are contiguous (n_stride = 1);
// where its rows are (k_stride = 1), a warp computes an element.
//
//===----------------------------------------------------------------------===//

#include "../VectorMath.h"
#include "TeamKernel.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tpc;
using P = arith::CmpIPredicate;

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
  Teams teams{bStride == 1 && op.getB()[2] != 1 ? kWarp : 1};
  int64_t blocks = llvm::divideCeil(elements, teams.perBlock());
  Type aType = elementOf(op.getLhs()), bType = elementOf(op.getRhs());
  Type result = elementOf(op.getResult());
  return emitTeams(
      builder, op.getLoc(), symbol, teams, blocks, facts, [&](Team &team) {
        LaneOps &ops = team.ops;
        Value number =
            ops.add(ops.mul(team.block, teams.perBlock()), team.inBlock);
        Value inside = ops.compareIndex(P::slt, number, ops.i64(elements));
        Indices at = indicesOf(ops, op, ops.select(inside, number, ops.i64(0)));
        Type compute = ops.registerType(result);
        auto addTerm = [&](Value i, Value sum) -> Value {
          Indices here = at;
          here.advance(ops, i, aStride, bStride, 0);
          Value x = team.load(0, here.a, aType);
          Value y = team.load(1, here.b, bType);
          if (!isa<IntegerType>(compute))
            return VectorMath(ops.builder, ops.loc).fma(x, y, sum);
          return ops.combine(Reduction::Sum, sum,
                             arith::MulIOp::create(ops.builder, ops.loc, x, y));
        };
        Value sum = team.sum(ops.i64(k), compute, addTerm);
        team.store(sum, inside, 2, at.c, result);
      });
}
