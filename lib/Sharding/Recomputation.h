//===- Recomputation.h - What gradients may compute again -------*- C++ -*-===//
//
// A value that gradients read is kept until then, or computed again where they
// need it. The second takes time, and no memory in between:
//
//   %h = tpc.rms_norm %x, %w        kept: %h lives from here to %dw
//   %y = tpc.matmul %h, %up         again: %x does, and %h twice for a moment
//   ...                 <- the boundary: from here on all is for gradients
//   %h' = tpc.rms_norm %x, %w
//   %dw = tpc.matmul %h', %dy
//
// What computes an operation again needs its operands there: those that
// gradients read anyhow, those that are stored or given, those that are
// computed again as well, not later, and those that are kept for this alone.
//
// The forward falls into sections, between which little is live: the blocks of
// a transformer between the values of the residual stream. Within a section all
// is computed again at the time that the first of it is needed; what the next
// section reads is kept where that is computed again.
//
// Times are positions in the block.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_RECOMPUTATION_H
#define TPC_LIB_SHARDING_RECOMPUTATION_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "tpc/Sharding/Assignment.h"
#include <optional>

namespace tpc {

class Recomputation {
public:
  explicit Recomputation(mlir::func::FuncOp function);

  /// From here on operations serve nothing but gradients; the end of the block
  /// where there are none.
  int64_t boundary() const { return boundaryTime; }
  bool isForward(mlir::Operation *op) const {
    return times.lookup(op) < boundaryTime;
  }

  /// When an operation would be computed again, at the earliest; nothing if it
  /// cannot be, or nobody would need it.
  std::optional<int64_t> timeAgain(mlir::Operation *op) const;
  /// Whether an operation that cannot be computed again, and whose results no
  /// gradient reads, may be kept for others to be computed again from it.
  bool mayBeKept(mlir::Operation *op) const;
  /// Whether what gradients read lets a value be read behind the boundary: it
  /// is stored, given, or one of their operands.
  bool isRead(mlir::Value value) const;
  /// Of the operations before the boundary that read a value and may be
  /// computed again, when; in order.
  llvm::SmallVector<int64_t, 2> readAgain(mlir::Value value) const;
  /// Whether an operation may be computed again when its operand's maker is.
  bool isInTime(mlir::Operation *maker, mlir::Operation *user) const;

private:
  std::optional<int64_t> needed(mlir::Operation *op) const;
  bool canBeMade(mlir::Operation *op) const;

  int64_t boundaryTime = 0;
  llvm::DenseMap<mlir::Operation *, int64_t> times;
  llvm::DenseMap<mlir::Operation *, int64_t> again;
  llvm::DenseSet<mlir::Value> always;
  llvm::DenseMap<mlir::Operation *, unsigned> sections;
};

/// A copy of a module in which what an assignment computes again stands where
/// it is computed, and the assignment of that.
struct RecomputedModule {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  Assignment assignment;
};
bool recomputes(const Assignment &assignment);
RecomputedModule withRecomputation(mlir::ModuleOp module,
                                   const Assignment &assignment);

} // namespace tpc

#endif // TPC_LIB_SHARDING_RECOMPUTATION_H
