//===- ClassElimination.h - Elimination over classes of values --*- C++ -*-===//
//
// Exact minimization without memory, like Elimination.h, where most of what a
// node may choose does not matter to its neighbours. Example: "q" has 70
// strategies, and the node of a resharded copy only asks whether q wants that
// copy:
//
//   edge q - copy      copy not made   made         classes of q
//     q wants it            forbidden     0         {those}
//     else                          0     0         {all others}
//
// So a table is kept over classes of a node's values: values with equal slices
// are one class. A bucket is computed over the coarsest classes that all its
// tables respect, and its message is compressed again; a node that is left
// with one class drops out of the message. That keeps buckets small where the
// product of the nodes' own values is far out of reach.
//
// The order is found while going: next comes the node whose bucket is smallest
// over classes.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_CLASSELIMINATION_H
#define TPC_LIB_SHARDING_SOLVER_CLASSELIMINATION_H

#include "Deadline.h"
#include "tpc/Sharding/Solver/Problem.h"

namespace tpc::solver {

struct ClassResult {
  enum Outcome { Solved, Infeasible, GaveUp } outcome = GaveUp;
  Choice choice;
  /// By node and value: how much the minimum rises if the value is taken;
  /// kForbidden where it cannot be.
  std::vector<std::vector<Cost>> marginals;
};

/// Minimizes the costs of a problem; memory is not looked at. Gives up if a
/// bucket would have more than `maxEntries` entries, or the time is up.
ClassResult eliminateByClasses(const Problem &problem, size_t maxEntries,
                               Deadline deadline, bool withMarginals = false);

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_CLASSELIMINATION_H
