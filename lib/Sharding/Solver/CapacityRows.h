//===- CapacityRows.h - The times at which memory can run out -----*- C++
//-*-===//
//
// Memory over time as few rows "sum of bytes of the live nodes <= capacity".
// Of all times only those matter whose live set is not part of another's, and
// of those only the ones where the largest choices would not fit:
//
//   time      0  1  2  3  4        rows
//   node 0    =======              time 1: nodes 0, 1
//   node 1       =======           time 3: nodes 1, 2
//   node 2             ====
//
// Rows stand in the order of time, so what a node uses covers a range of them.
// What a node uses in any case is taken off the capacity, which leaves the
// excess of its values over the smallest.
//
// Presolve has its own rows (MemoryRows.h), which change with the problem.
// These are made once and laid out for fast loops.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_CAPACITYROWS_H
#define TPC_LIB_SHARDING_SOLVER_CAPACITYROWS_H

#include "tpc/Sharding/Solver/Problem.h"

namespace tpc::solver {

struct CapacityRows {
  explicit CapacityRows(const Problem &problem);

  struct Use {
    /// Half open, never empty.
    unsigned firstRow, endRow;
    /// excess[bytes + value] is what the value takes in each of the rows.
    size_t bytes;
  };

  size_t numRows() const { return capacity.size(); }

  /// By row, in bytes. A negative one can never be kept.
  std::vector<int64_t> capacity;
  /// Node i has uses[useBegin[i]] to uses[useBegin[i + 1]].
  std::vector<unsigned> useBegin;
  std::vector<Use> uses;
  std::vector<int64_t> excess;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_CAPACITYROWS_H
