//===- RowOfPairs.h - Rows of elements with their positions -----*- C++ -*-===//
//
// What sorts and top_k move around: the elements of one row, each with the
// position that it had, and their total order.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_CODEGEN_ROWOFPAIRS_H
#define TPC_LIB_CODEGEN_ROWOFPAIRS_H

#include "LaneOps.h"

namespace tpc {

/// `values` and `positions` are memory; the row starts at element `begin`.
class RowOfPairs {
public:
  RowOfPairs(LaneOps &ops, mlir::Value values, mlir::Value positions,
             mlir::Value begin, mlir::Type element, mlir::Type positionElement,
             bool descending)
      : ops(ops), values(values), positions(positions), begin(begin),
        element(element), positionElement(positionElement),
        descending(descending) {}

  struct Pair {
    mlir::Value value, position;
  };

  Pair load(mlir::Value i) {
    mlir::Value at = ops.add(begin, i);
    return {ops.load(values, at, element, false, {}),
            ops.load(positions, at, positionElement, false, {})};
  }
  void store(Pair pair, mlir::Value i) {
    mlir::Value at = ops.add(begin, i);
    ops.store(pair.value, values, at, element, {});
    ops.store(pair.position, positions, at, positionElement, {});
  }

  /// Whether `a` comes before `b`: by value, NaN last, then by position.
  mlir::Value before(Pair a, Pair b);

private:
  LaneOps &ops;
  mlir::Value values, positions, begin;
  mlir::Type element, positionElement;
  bool descending;
};

} // namespace tpc

#endif // TPC_LIB_CODEGEN_ROWOFPAIRS_H
