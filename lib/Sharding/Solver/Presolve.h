//===- Presolve.h - An equivalent, smaller problem --------------*- C++ -*-===//
//
// Exact reductions, to a fixpoint. None of them looks at the cost of a known
// solution, so the optimum is preserved; to use one, forbid values first and
// presolve again.
//
//   infeasible value  forbidden by itself, by all values of a neighbour, or
//                     because its memory alone exceeds what everyone else's
//                     minimum leaves
//   separable edge    c(a, b) = f(a) + g(b) moves into the nodes; of the other
//                     edges f and g are moved as far as possible
//   dominance         t replaces s where t never takes more memory and never
//                     costs more, whatever the neighbours do
//   fusion            where each value of u leaves its neighbour v one value,
//                     v becomes a part of u
//   elimination       a node with at most two neighbours whose memory does not
//                     vary is minimized out
//   rows              a time at which the limit cannot be exceeded, or only if
//                     it is at the time before or after, needs no attention
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_PRESOLVE_H
#define TPC_LIB_SHARDING_SOLVER_PRESOLVE_H

#include "Deadline.h"
#include "tpc/Sharding/Solver/Problem.h"

namespace tpc::solver {

/// How a choice of the reduced problem becomes one of the original.
struct Expansion;

struct Presolved {
  /// Equal tables are equal pointers. Its times are 0, 1, ...: one for each
  /// maximal set of nodes that are live together. Memory that does not vary is
  /// held by one node with a single value, the last one. No node's minimum of
  /// bytes in an interval is above 0 but that node's.
  Problem problem;
  /// Original cost = constant + cost in the reduced problem.
  WideCost constant = 0;
  /// Proven; `problem` is empty then.
  bool infeasible = false;

  /// A choice of the original problem with the same cost, and feasible if that
  /// of the reduced problem is.
  Choice expand(const Choice &choice) const;
  /// The choice of the reduced problem nearest to one of the original: values
  /// that were removed become the first that is left.
  Choice reduce(const Choice &original) const;

  /// The node of the reduced problem that stands for one of the original.
  std::optional<unsigned> find(unsigned original) const;

  std::shared_ptr<const Expansion> expansion;
};

/// Stops between reductions when the time is up; what is reached until then
/// is valid.
/// Nodes with a mark in `keep` stay, with all their values, for somebody who
/// changes their costs afterwards.
Presolved presolve(const Problem &problem, Deadline deadline,
                   const std::vector<char> &keep = {});

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_PRESOLVE_H
