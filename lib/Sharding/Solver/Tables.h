//===- Tables.h - Equal tables are held once --------------------*- C++ -*-===//
//
// The graph of a model repeats its layers, and its problem repeats their
// tables: of the 52,234 tables of an IOPDDL instance, 1,898 differ. Held once,
// equal tables are equal pointers, and what was computed from them once needs
// not be computed again.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_TABLES_H
#define TPC_LIB_SHARDING_SOLVER_TABLES_H

#include "tpc/Sharding/Solver/Problem.h"
#include <unordered_map>

namespace tpc::solver {

/// A vector's content as a number; equal vectors have equal hashes.
uint64_t hashOf(const int64_t *values, size_t count);

/// Vectors by content.
class VectorPool {
public:
  /// The one held vector with this content.
  CostTable intern(std::vector<Cost> &&values);

private:
  std::unordered_multimap<uint64_t, CostTable> held;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_TABLES_H
