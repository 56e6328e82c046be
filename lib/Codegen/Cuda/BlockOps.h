//===- BlockOps.h - Threads of a block working together ---------*- C++ -*-===//
//
// A kernel is an llvm.func of bare pointers to global memory, run by blocks of
// a known number of threads. Warps are 32 threads. A reduction over a block:
//
//   five shuffles       every lane has its warp's result
//   shared[warp] = it   one slot per warp
//   barrier
//   load, shuffles      every thread has the block's result
//
// Every reduction has its own slots, so that the next need not wait until all
// have read; inside a loop a barrier must separate the rounds.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_CODEGEN_CUDA_BLOCKOPS_H
#define TPC_LIB_CODEGEN_CUDA_BLOCKOPS_H

#include "../LaneOps.h"
#include "../PointEvaluator.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "tpc/Codegen/CudaImage.h"

namespace tpc {

constexpr int64_t kWarp = 32;

/// Makes a kernel of `threads` threads per block; `builder` stands in its entry
/// block then.
mlir::LLVM::LLVMFuncOp createCudaKernel(mlir::OpBuilder &builder,
                                        mlir::Location loc,
                                        llvm::StringRef symbol, int64_t threads,
                                        llvm::ArrayRef<BufferFacts> buffers);

class BlockOps {
public:
  /// `ops` stands in the entry block of `kernel`.
  BlockOps(LaneOps &ops, mlir::LLVM::LLVMFuncOp kernel, int64_t threads);

  const int64_t threads;
  /// Numbers of the thread in its block and of the block, as i64.
  mlir::Value thread, block;
  /// block * threads + thread, which is at most `limit` or not used.
  mlir::Value globalThread(int64_t limit);

  void barrier();
  /// Uninitialized shared memory for `count` values of the type.
  mlir::Value shared(mlir::Type type, int64_t count);
  mlir::Value loadShared(mlir::Value memory, mlir::Type type,
                         mlir::Value index);
  void storeShared(mlir::Value value, mlir::Value memory, mlir::Value index);

  /// The value of the thread in the same warp whose lane number differs by the
  /// bits of `lanes`.
  mlir::Value shuffle(mlir::Value value, int64_t lanes);
  /// The value of the lane with this number, which is the same in the warp.
  mlir::Value broadcast(mlir::Value value, mlir::Value lane);

  using Values = llvm::SmallVector<mlir::Value>;
  /// Combines two partial results; must not depend on their order.
  using Combine = llvm::function_ref<Values(llvm::ArrayRef<mlir::Value>,
                                            llvm::ArrayRef<mlir::Value>)>;
  /// Reduces scalars over groups of `width` adjacent threads: a power of two
  /// up to a warp, or the whole block.
  Values reduce(Values values, int64_t width, Combine combine);
  /// Likewise one value.
  mlir::Value reduce(mlir::Value value, int64_t width, Reduction reduction);

  /// Runs `body` where `condition` holds; everywhere if there is none.
  void when(mlir::Value condition, llvm::function_ref<void()> body);

private:
  /// Applies `move` to the value, or to its halves of 32 bits.
  mlir::Value in32Bits(mlir::Value value,
                       llvm::function_ref<mlir::Value(mlir::Value)> move);
  mlir::Value i32(int32_t number);

  LaneOps &ops;
  mlir::OpBuilder &builder;
  mlir::LLVM::LLVMFuncOp kernel;
  mlir::Value thread32, block32;
  unsigned numShared = 0;
};

} // namespace tpc

#endif // TPC_LIB_CODEGEN_CUDA_BLOCKOPS_H
