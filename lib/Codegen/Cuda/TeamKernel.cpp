//===- TeamKernel.cpp - Elements that a thread or a warp sums up ----------===//

#include "TeamKernel.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "tpc/Codegen/CoreBuilder.h"

using namespace mlir;
using namespace tpc;
using P = arith::CmpIPredicate;

static Value divided(LaneOps &ops, Value x, int64_t by) {
  return arith::DivUIOp::create(ops.builder, ops.loc, x, ops.i64(by));
}

static Value remainder(LaneOps &ops, Value x, int64_t by) {
  return arith::RemUIOp::create(ops.builder, ops.loc, x, ops.i64(by));
}

Team::Team(LaneOps &ops, BlockOps &blockOps, LLVM::LLVMFuncOp kernel,
           Teams teams)
    : ops(ops), block(blockOps.block),
      inBlock(divided(ops, blockOps.thread, teams.width)),
      part(remainder(ops, blockOps.thread, teams.width)), blockOps(blockOps),
      kernel(kernel), teams(teams) {}

std::pair<Value, Value> Team::divide(Value x, int64_t by) {
  return {divided(ops, x, by), remainder(ops, x, by)};
}

Value Team::load(int64_t buffer, Value index, Type type) {
  return ops.load(kernel.getArgument(buffer), index, type, false, {});
}

Value Team::sum(Value count, Type type,
                llvm::function_ref<Value(Value, Value)> add) {
  auto loop =
      scf::ForOp::create(ops.builder, ops.loc, part, count,
                         ops.i64(teams.width), ValueRange{ops.zero(type)});
  {
    OpBuilder::InsertionGuard inner(ops.builder);
    ops.builder.setInsertionPointToStart(loop.getBody());
    Value sum = add(loop.getInductionVar(), loop.getRegionIterArg(0));
    scf::YieldOp::create(ops.builder, ops.loc, sum);
  }
  return blockOps.reduce(loop.getResult(0), teams.width, Reduction::Sum);
}

void Team::store(Value sum, Value inside, int64_t buffer, Value index,
                 Type type) {
  Value first = ops.compareIndex(P::eq, part, ops.i64(0));
  blockOps.when(ops.both(inside, first), [&] {
    ops.store(ops.rounded(sum, type), kernel.getArgument(buffer), index, type,
              {});
  });
}

CudaLaunch tpc::emitTeams(OpBuilder &builder, Location loc, StringRef symbol,
                          Teams teams, int64_t blocks,
                          ArrayRef<BufferFacts> facts,
                          llvm::function_ref<void(Team &)> emit) {
  OpBuilder::InsertionGuard guard(builder);
  LLVM::LLVMFuncOp kernel =
      createCudaKernel(builder, loc, symbol, Teams::threads, facts);
  if (blocks > 0) {
    LaneOps ops(builder, loc, LaneTarget::gpu(1), &kernel.getBody().front());
    BlockOps blockOps(ops, kernel, Teams::threads);
    Team team(ops, blockOps, kernel, teams);
    emit(team);
  }
  LLVM::ReturnOp::create(builder, loc, ValueRange());
  return {symbol.str(), blocks, Teams::threads};
}
