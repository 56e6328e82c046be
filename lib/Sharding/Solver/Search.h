//===- Search.h - What is too large to be solved exactly --------*- C++ -*-===//
//
// Two threads take turns in rounds of equal work. One raises the lower bound
// (PriceAscent.h), the other improves the best choice (ForestMoves.h). Between
// rounds they exchange what helps the other: the prices of memory and choices
// to start from, and the best cost. Rounds are counted in work and not in
// seconds, so that what is found does not depend on the machine; the time only
// says when to stop.
//
// What the bound shows not to be part of a better choice is forbidden. When
// enough is, the rest is presolved again and the search goes on with that.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_SEARCH_H
#define TPC_LIB_SHARDING_SOLVER_SEARCH_H

#include "Deadline.h"
#include "tpc/Sharding/Solver/Solver.h"

namespace tpc::solver {

struct SearchResult {
  /// Empty if none was found.
  Choice choice;
  WideCost cost = 0;
  /// No feasible choice costs less.
  WideCost bound = 0;
};

/// Searches a presolved problem until the bound meets the cost, or the
/// deadline, or, for tests, `maxRounds`. `start` may be empty or infeasible.
SearchResult search(const Problem &problem, const Choice &start,
                    Deadline deadline, unsigned maxRounds = ~0u);

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_SEARCH_H
