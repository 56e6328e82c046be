//===- GroupedMatmulKernel.cpp - Rows times chosen matrices on a GPU ------===//
//
// Where the columns of a matrix lie next to each other (f_stride = 1), a thread
// computes an element of the result; where its rows do (d_stride = 1), a warp.
//
//===----------------------------------------------------------------------===//

#include "../VectorMath.h"
#include "TeamKernel.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace tpc;
using P = arith::CmpIPredicate;

CudaLaunch tpc::emitGroupedMatmul(OpBuilder &builder, plan::GroupedMatmulOp op,
                                  StringRef symbol,
                                  ArrayRef<BufferFacts> facts) {
  ArrayRef<int64_t> sizes = op.getSizes(), view = op.getView();
  int64_t n = sizes[0], c = sizes[1], e = sizes[2], d = sizes[3], f = sizes[4];
  int64_t dStride = view[2], fStride = view[3];
  Teams teams{dStride == 1 && fStride != 1 ? kWarp : 1};
  int64_t runs = llvm::divideCeil(f, teams.perBlock());
  Type element = elementOf(op.getResult());
  bool rowPerChoice = tensorType(op.getRows()).getNumElements() != n * d;
  return emitTeams(
      builder, op.getLoc(), symbol, teams, n * c * runs, facts,
      [&](Team &team) {
        LaneOps &ops = team.ops;
        auto [pair, run] = team.divide(team.block, runs); // row * c + choice
        Value column = ops.add(ops.mul(run, teams.perBlock()), team.inBlock);
        Value inside = ops.compareIndex(P::slt, column, ops.i64(f));
        Value safe = ops.select(inside, column, ops.i64(0));
        Value matrix =
            ops.toIndex(team.load(1, pair, elementOf(op.getChoices())));
        Value chosen = ops.both(ops.compareIndex(P::sge, matrix, ops.i64(0)),
                                ops.compareIndex(P::slt, matrix, ops.i64(e)));
        Value row =
            ops.mul(rowPerChoice ? pair : team.divide(pair, c).first, d);
        Value weights =
            ops.add(ops.mul(matrix, view[1]), ops.mul(safe, fStride));
        // Without a choice the sum is empty.
        Value count = ops.select(chosen, ops.i64(d), ops.i64(0));
        auto addTerm = [&](Value i, Value sum) -> Value {
          Value x = team.load(0, ops.add(row, i), element);
          Value w =
              team.load(2, ops.add(weights, ops.mul(i, dStride)), element);
          return VectorMath(ops.builder, ops.loc).fma(x, w, sum);
        };
        Value sum = team.sum(count, ops.registerType(element), addTerm);
        team.store(sum, inside, 3, ops.add(ops.mul(pair, f), column), element);
      });
}
