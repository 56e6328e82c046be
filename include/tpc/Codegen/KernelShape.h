//===- KernelShape.h - How a group of operations is computed ----*- C++ -*-===//
//
// A kernel computes its outputs point by point over a *domain*, in rows: the
// last dimension is the *lane* dimension, everything before it counts rows.
//
//   softmax over tensor<2x12x128x128>: 3072 rows of 128 lanes
//     pass 0   peak   = max over the row of x
//     pass 1   sum    = sum over the row of w = exp(x - peak)    (w is kept)
//     pass 2   result = w / sum
//
// A value is either *full* (one element per point), a *row value* (one per
// row: a reduction over the last dimension), or something smaller that is
// recomputed where it is needed (a bias that is broadcast). Every operation
// but a reduction over the last dimension is evaluated at an index mapping: a
// transpose permutes indices, a slice shifts them, a load ends in an address.
//
// All outputs are stored in the last pass, after every read of the same point:
// so an output may take the memory of an operand that is read at the same
// point only.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_CODEGEN_KERNELSHAPE_H
#define TPC_CODEGEN_KERNELSHAPE_H

#include "tpc/Dialect/Plan/Plan.h"
#include "llvm/ADT/DenseSet.h"

namespace tpc {

/// The operations of a kernel (or of a group that may become one), in order,
/// and the values that it stores.
struct KernelBody {
  llvm::SmallVector<mlir::Operation *> ops;
  llvm::SmallVector<mlir::Value> outputs;

  bool contains(mlir::Value value) const;
  static KernelBody of(plan::KernelFuncOp function);

  llvm::DenseSet<mlir::Operation *> inside;
};

/// One loop: the index of domain dimension `dim` (and of those before it that
/// were merged into it) runs from 0 to `extent`.
struct KernelLoop {
  int64_t dim = -1;
  int64_t extent = 1;
};

struct KernelShape {
  llvm::SmallVector<int64_t> domain;
  llvm::SmallVector<KernelLoop> rows;
  KernelLoop lanes;
  /// Lanes per tile; lanes.extent when a row is not cut.
  int64_t chunk = 1;
  /// Lanes do not lie next to each other in some operand: computed one by one.
  bool scalar = false;
  /// The reductions over the last dimension, by the pass that computes them.
  llvm::SmallVector<llvm::SmallVector<ReduceOp>> passes;
  /// Costly full values that several passes need: kept in a row of scratch.
  llvm::SmallVector<mlir::Value> kept;
  /// Pairs [output, operand value] that may share memory.
  llvm::SmallVector<std::pair<unsigned, mlir::Value>> inPlace;

  int64_t numRows() const;
  int64_t tiles() const;
};

/// Kinds of operations, as the fusion rule sees them.
enum class OpClass {
  Row,     ///< elementwise, broadcast, last-dimension reduction
  Free,    ///< costs nothing to compute again: splat constant, iota
  Pull,    ///< computes each element from elements elsewhere: slice, gather
  Update,  ///< writes a part of its operand in place: update_slice
  Special, ///< a kernel of its own: scatter_add, sort, top_k
  Other    ///< no kernel: matmul, collective, reshape
};
OpClass classify(mlir::Operation *op);

/// Whether an element takes many instructions, so that it is better kept than
/// computed again.
bool isCostly(mlir::Operation *op);

/// Whether it reduces exactly the last dimension.
bool isRowReduction(mlir::Operation *op);

/// How to compute `body`, or nothing when it does not fit one kernel; then
/// `why`, if given, says so.
std::optional<KernelShape> computeShape(const KernelBody &body,
                                        std::string *why = nullptr);

} // namespace tpc

#endif // TPC_CODEGEN_KERNELSHAPE_H
