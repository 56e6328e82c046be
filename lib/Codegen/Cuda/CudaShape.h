//===- CudaShape.h - Which thread computes what -----------------*- C++ -*-===//
//
// A kernel without values of rows is *flat*: thread i of the grid computes
// `lanes` elements that lie next to each other.
//
//   silu over tensor<512x11008xbf16>: 8 lanes, 704,512 threads, 2752 blocks
//
// A kernel that reduces rows gives each row to a warp, or to a block where a
// row is long. Thread t of n computes the columns [v, v + lanes) for
// v = (t + i * n) * lanes, i = 0, 1, ... If these are few, they stay in
// registers from one pass over the row to the next.
//
//   softmax over tensor<64x4096xbf16>: 64 blocks of 512 threads, 8 lanes each
//   layer_norm over tensor<128x96xf32>: 32 blocks of 4 warps, 4 lanes a thread
//
// Lanes are as many as fit 16 bytes and divide a row.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_CODEGEN_CUDA_CUDASHAPE_H
#define TPC_LIB_CODEGEN_CUDA_CUDASHAPE_H

#include "tpc/Codegen/KernelShape.h"

namespace tpc {

struct CudaShape {
  int64_t lanes = 1;
  int64_t threads = 1, blocks = 0;
  /// Threads that share a row; 0 in a flat kernel.
  int64_t rowThreads = 0;
  /// How often a thread computes `lanes` columns of its row.
  int64_t rounds = 1;
  /// All rounds are written out, with their values in registers.
  bool unrolled = false;

  int64_t rowsPerBlock() const { return threads / rowThreads; }
};

CudaShape cudaShapeOf(plan::KernelFuncOp function, const KernelBody &body,
                      const KernelShape &shape);

} // namespace tpc

#endif // TPC_LIB_CODEGEN_CUDA_CUDASHAPE_H
