//===- PointEvaluator.h - Values of a kernel at a point ---------*- C++ -*-===//
//
// Generates the code that computes a tensor's element, or one vector of lanes,
// at given indices: down the operands to loads, constants and indices. Each
// operation turns indices of its result into indices of its operands:
//
//   transpose [1, 0] at (i, j)      operand at (j, i)
//   slice [2, 0]     at (i, j)      operand at (i + 2, j)
//   gather dim 0     at (i, j)      table at (indices at (i), j), or 0 outside
//   pad low [1]      at (i)         operand at (i - 1) if inside, or the value
//
// What is the same for a whole row is computed once before the loop over lanes.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_CODEGEN_POINTEVALUATOR_H
#define TPC_LIB_CODEGEN_POINTEVALUATOR_H

#include "LaneOps.h"
#include "tpc/Codegen/KernelShape.h"
#include <map>

namespace tpc {

/// An index of one dimension: `base`, plus the lane number if `lane`.
struct PointIndex {
  mlir::Value base;
  bool lane = false;
  /// Same for the whole row.
  bool rowLevel = true;
  /// `base` is a multiple of it; 0: is zero.
  int64_t divisor = 1;

  bool operator<(const PointIndex &o) const {
    return std::pair(base.getAsOpaquePointer(), lane) <
           std::pair(o.base.getAsOpaquePointer(), o.lane);
  }
};
using PointIndices = llvm::SmallVector<PointIndex, 4>;

/// Where a value lies; the address is a multiple of `alignment` bytes, 0: of an
/// element's size.
struct Buffer {
  mlir::Value pointer;
  int64_t alignment = 0;
};

/// A condition that must hold for memory to be read; null: always.
struct Guard {
  mlir::Value condition;
  bool rowLevel = true;
};

class PointEvaluator {
public:
  /// `buffers` holds every value that is not computed inside.
  PointEvaluator(LaneOps &ops, const KernelBody &body, const KernelShape &shape,
                 const llvm::DenseMap<mlir::Value, Buffer> &buffers)
      : ops(ops), body(body), shape(shape), buffers(buffers) {}

  /// The value at `indices`; failure after an error.
  mlir::FailureOr<mlir::Value>
  at(mlir::Value value, const PointIndices &indices, Guard guard = {});

  PointIndex constant(int64_t index) {
    return {ops.i64(index), false, true, index};
  }
  PointIndex shifted(PointIndex index, PointIndex by);
  /// sum of index * stride; the row's part is computed before the lanes.
  mlir::Value offsetOf(const PointIndices &indices,
                       llvm::ArrayRef<int64_t> strides);
  /// What the address at such an offset in `buffer` is a multiple of, in bytes.
  static int64_t alignmentOf(const PointIndices &indices,
                             llvm::ArrayRef<int64_t> strides,
                             mlir::Type element, const Buffer &buffer);

  /// From here on code is inside a loop over lanes; row-level values are
  /// generated before `loop`.
  void enterLanes(mlir::Operation *loop, mlir::Value column, mlir::Value mask);
  void leaveLanes();

  /// The result of a row reduction, known from now on.
  void define(mlir::Value value, mlir::Value row) { known[value] = row; }
  /// A kept value's scratch, readable from the next pass on.
  void setScratch(mlir::Value value, mlir::Value pointer) {
    scratch[value] = pointer;
  }
  void beginPass() { readable = written; }

private:
  using Key =
      std::pair<const void *, std::pair<std::vector<PointIndex>, const void *>>;
  using Memo = std::map<Key, mlir::Value>;

  mlir::FailureOr<mlir::Value>
  compute(mlir::Value value, const PointIndices &indices, Guard guard);
  mlir::FailureOr<mlir::Value>
  computeOp(mlir::Operation *op, const PointIndices &indices, Guard guard);
  mlir::FailureOr<mlir::Value> load(mlir::Value value,
                                    const PointIndices &indices, Guard guard);
  mlir::FailureOr<mlir::Value> reduce(ReduceOp op, const PointIndices &indices,
                                      Guard guard);
  mlir::FailureOr<mlir::Value> gather(GatherOp op, const PointIndices &indices,
                                      Guard guard);
  mlir::FailureOr<mlir::Value> pad(PadOp op, const PointIndices &indices,
                                   Guard guard);
  mlir::FailureOr<mlir::Value> concat(ConcatOp op, const PointIndices &indices,
                                      Guard guard);
  /// Operands of a concat, with the index at which each begins.
  using Parts = llvm::SmallVector<std::pair<int64_t, mlir::Value>>;
  mlir::FailureOr<mlir::Value> selectPart(ConcatOp op, llvm::ArrayRef<Parts> of,
                                          const PointIndices &indices,
                                          Guard guard);
  mlir::FailureOr<mlir::Value>
  dynamicSlice(DynamicSliceOp op, const PointIndices &indices, Guard guard);
  /// low <= index < high.
  Guard within(PointIndex index, int64_t low, int64_t high);
  Guard both(Guard a, Guard b);
  /// Moves generation before the loop over lanes for what is the same for the
  /// whole row.
  class Scope {
  public:
    Scope(PointEvaluator &evaluator, bool rowLevel)
        : guard(evaluator.ops.builder) {
      if (rowLevel && evaluator.lanesLoop)
        evaluator.ops.builder.setInsertionPoint(evaluator.lanesLoop);
    }

  private:
    mlir::OpBuilder::InsertionGuard guard;
  };
  mlir::Value indexValue(PointIndex index);
  bool isKeptHere(mlir::Value value, const PointIndices &indices);

public:
  /// Where a slice of `part` starts along each dimension of `whole`, clamped;
  /// with `row`, by that row of `start`.
  mlir::FailureOr<PointIndices>
  clampedStart(mlir::Value start, llvm::ArrayRef<int64_t> whole,
               llvm::ArrayRef<int64_t> part, Guard guard,
               std::optional<PointIndex> row = std::nullopt);

private:
  LaneOps &ops;
  const KernelBody &body;
  const KernelShape &shape;
  const llvm::DenseMap<mlir::Value, Buffer> &buffers;
  mlir::Operation *lanesLoop = nullptr;
  mlir::Value laneColumn, laneMask;
  Memo rowMemo, laneMemo;
  llvm::DenseMap<mlir::Value, mlir::Value> known, scratch;
  llvm::DenseSet<mlir::Value> written, readable;
  unsigned depth = 0; // of loops inside a point
};

} // namespace tpc

#endif // TPC_LIB_CODEGEN_POINTEVALUATOR_H
