//===- TeamKernel.h - Elements that a thread or a warp sums up --*- C++ -*-===//
//
// What kernels of products have in common. An element of the result is a sum,
// and belongs to a team of adjacent threads that share its terms:
//
//   width 1       thread i of a block has element i, its warp reads 32
//   width kWarp   lane l of a warp has the terms l, l + 32, ... of one sum
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_CODEGEN_CUDA_TEAMKERNEL_H
#define TPC_LIB_CODEGEN_CUDA_TEAMKERNEL_H

#include "BlockOps.h"
#include "LibraryKernels.h"

namespace tpc {

/// How the threads of a block divide into teams.
struct Teams {
  static constexpr int64_t threads = 128;
  int64_t width = 1;
  int64_t perBlock() const { return threads / width; }
};

/// The team of the thread that runs the kernel.
class Team {
public:
  Team(LaneOps &ops, BlockOps &block, mlir::LLVM::LLVMFuncOp kernel,
       Teams teams);

  LaneOps &ops;
  /// Numbers of the block, of the team in it, and of the thread in the team.
  const mlir::Value block, inBlock, part;

  /// x / by and x % by.
  std::pair<mlir::Value, mlir::Value> divide(mlir::Value x, int64_t by);
  mlir::Value load(int64_t buffer, mlir::Value index, mlir::Type type);
  /// add(i, sum so far) over all i below `count`.
  mlir::Value
  sum(mlir::Value count, mlir::Type type,
      llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> add);
  /// Once for the team, where `inside`.
  void store(mlir::Value sum, mlir::Value inside, int64_t buffer,
             mlir::Value index, mlir::Type type);

private:
  BlockOps &blockOps;
  mlir::LLVM::LLVMFuncOp kernel;
  Teams teams;
};

/// A kernel of so many blocks, in which `emit` says what a team does.
CudaLaunch emitTeams(mlir::OpBuilder &builder, mlir::Location loc,
                     llvm::StringRef symbol, Teams teams, int64_t blocks,
                     llvm::ArrayRef<BufferFacts> facts,
                     llvm::function_ref<void(Team &)> emit);

} // namespace tpc

#endif // TPC_LIB_CODEGEN_CUDA_TEAMKERNEL_H
