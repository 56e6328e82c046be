//===- KernelEmitter.h - Loops of a kernel on a CPU -------------*- C++ -*-===//
//
// Turns a `plan.kernel_func` into
//
//   llvm.func @symbol(%buffers: !llvm.ptr, %begin: i64, %end: i64)
//     for tile in [begin, end)
//       row indices of the tile
//       for every pass
//         for lanes in steps of whole vectors, then one masked vector
//         reductions: across the lanes, to a row value
//       store the row values
//
// Sums are kept in several independent vectors while a row has enough lanes.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_CODEGEN_KERNELEMITTER_H
#define TPC_LIB_CODEGEN_KERNELEMITTER_H

#include "KernelPoints.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "tpc/Codegen/KernelImage.h"

namespace tpc {

class KernelEmitter : KernelPoints {
public:
  /// Emits before `builder`'s insertion point.
  static mlir::LogicalResult emit(mlir::OpBuilder &builder,
                                  plan::KernelFuncOp function,
                                  const CpuKind &kind);

private:
  KernelEmitter(mlir::OpBuilder &builder, plan::KernelFuncOp function,
                const KernelBody &body, const KernelShape &shape,
                const CpuKind &kind, mlir::LLVM::LLVMFuncOp target);

  mlir::LogicalResult run();
  void loadPointers();
  void makeScratch();
  void indexRows(mlir::Value tile);
  mlir::LogicalResult emitTile();

  // Passes over a row.
  using Accumulators = llvm::SmallVector<mlir::Value>;
  mlir::LogicalResult emitPass(unsigned pass);
  mlir::LogicalResult
  emitLanes(unsigned pass, mlir::Value column, int64_t maskedLanes,
            mlir::Operation *loop,
            llvm::MutableArrayRef<mlir::Value> accumulators);
  mlir::LogicalResult emitLoop(unsigned pass, mlir::Value low, mlir::Value high,
                               int64_t vectors, int64_t maskedLanes,
                               Accumulators &accumulators);
  mlir::LogicalResult emitStaticLanes(unsigned pass, Accumulators &sums);
  mlir::LogicalResult emitChunkLanes(unsigned pass);
  void finishReductions(unsigned pass, Accumulators &sums);

  // Kernels of one special operation (SpecialKernels.cpp).
  void emitSpecial();
  void emitScatterAdd(ScatterAddOp op);
  void emitSort(SortOp op);
  void emitTopK(TopKOp op);

  mlir::LLVM::LLVMFuncOp target;
  mlir::Value chunkBegin;
};

} // namespace tpc

#endif // TPC_LIB_CODEGEN_KERNELEMITTER_H
