//===- KernelPoints.h - What kernels of all targets share -------*- C++ -*-===//
//
// From the number of a row to indices, and from indices to the outputs there.
// How rows and lanes are run through is the target's: loops over vectors on a
// CPU (KernelEmitter.h), blocks of threads on a GPU (Cuda/CudaKernel.h).
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_CODEGEN_KERNELPOINTS_H
#define TPC_LIB_CODEGEN_KERNELPOINTS_H

#include "PointEvaluator.h"

namespace tpc {

class KernelPoints {
protected:
  /// Code goes to `builder`'s insertion point, constants into `entry`.
  KernelPoints(mlir::OpBuilder &builder, plan::KernelFuncOp function,
               const KernelBody &body, const KernelShape &shape,
               const LaneTarget &target, mlir::Block *entry)
      : builder(builder), loc(function.getLoc()), function(function),
        body(body), shape(shape), ops(builder, loc, target, entry),
        evaluator(ops, body, shape, buffers) {}

  /// `take(i)` is buffer i of the launch: inputs, updates, other results.
  void takeBuffers(llvm::function_ref<Buffer(unsigned)> take);
  /// Row -> an index per row loop, the last one fastest.
  void indexRow(mlir::Value row);
  /// Indices of the first `rank` domain dimensions; `column`, a multiple of
  /// `divisor`, is that of the lanes.
  PointIndices domainIndices(mlir::Value column, size_t rank,
                             int64_t divisor = 1);

  /// What goes where.
  struct Store {
    mlir::Value value, pointer, index;
    mlir::Type element;
    int64_t alignment;
  };
  using Stores = llvm::SmallVector<Store>;

  /// Computes the outputs that have an element per point, at `indices`.
  mlir::FailureOr<Stores> pointStores(const PointIndices &indices);
  /// Likewise the outputs with one element per row.
  mlir::FailureOr<Stores> rowStores();
  void write(const Stores &stores, mlir::Value mask = {});
  /// Adds all updates at the lanes of one row of the operand without its
  /// indexed dimension.
  void scatterAdd(ScatterAddOp op, mlir::Value column, mlir::Value mask,
                  int64_t divisor = 1);
  /// An output with an element per point; otherwise per row.
  bool isFull(mlir::Value output);
  bool isSpecial();

  mlir::OpBuilder &builder;
  mlir::Location loc;
  plan::KernelFuncOp function;
  const KernelBody &body;
  const KernelShape &shape;
  LaneOps ops;
  llvm::DenseMap<mlir::Value, Buffer> buffers; // of arguments
  llvm::SmallVector<Buffer> outputs;           // of results
  PointEvaluator evaluator;
  llvm::SmallVector<mlir::Value> dimIndices; // per domain dimension, rows only
};

} // namespace tpc

#endif // TPC_LIB_CODEGEN_KERNELPOINTS_H
