//===- Exact.h - Proofs by elimination --------------------------*- C++ -*-===//
//
// Solves what presolve leaves if its graph is narrow. Without memory that is
// one elimination. With it, prices give a bound, and then a limit on cost is
// set a little above it: values whose best priced choice costs more are
// forbidden, what is left is presolved, priced and filtered again, and at last
// eliminated with labels. Either the optimum is found, or no choice costs at
// most the limit, which raises the bound and is followed by a higher limit.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_EXACT_H
#define TPC_LIB_SHARDING_SOLVER_EXACT_H

#include "Deadline.h"
#include "tpc/Sharding/Solver/Problem.h"

namespace tpc::solver {

struct ExactResult {
  /// Proven: there is no feasible choice, or `choice` is the best one.
  bool proven = false;
  /// The cheapest feasible choice that is known; empty: none.
  Choice choice;
  WideCost cost = 0;
  /// No feasible choice costs less.
  WideCost bound = 0;
};

/// Solves a problem without negative costs whose finite costs add up to less
/// than 2^55. `start` is a feasible choice or empty.
ExactResult solveExactly(const Problem &problem, const Choice &start,
                         Deadline deadline);

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_EXACT_H
