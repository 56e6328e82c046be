//===- LabelElimination.h - Elimination under a memory limit ----*- C++ -*-===//
//
// Where memory is limited, a message holds for each choice of its separator
// not one minimum but the choices that no other one beats in both cost and
// memory (labels). Two things keep them few.
//
// Prices and a limit on cost: a label is dropped if its priced cost and the
// priced minimum of everything outside exceed the limit.
//
// Few dimensions: of the rows of memory, a message needs to tell apart only
// some. With params live always and a local activation a(l) in each layer,
//
//   row l: p(1) + ... + p(n) + a(l) <= slack
//
// the message from layers 1..k holds the sum of p(1..k), which is the same for
// all rows of later layers, and one maximum of p + a(l) - slack over its own
// rows, to which everything outside will add the same. In general: rows to
// which the inside adds the same share a dimension, and so do rows to which the
// outside adds the same; which to use is a vertex cover of the bipartite graph
// of the two kinds of classes.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_LABELELIMINATION_H
#define TPC_LIB_SHARDING_SOLVER_LABELELIMINATION_H

#include "Pricing.h"

namespace tpc::solver {

enum class LabelOutcome {
  Found, ///< the cheapest feasible choice
  None,  ///< proven: no feasible choice costs at most the limit
  GaveUp ///< too many labels, or the time is up
};

struct LabelOptions {
  /// The most that the choice may cost.
  WideCost limit;
  /// The number of labels that may be made.
  size_t work;
  /// 0, or the number of labels by entry that are kept: what is found is then
  /// not the cheapest and may cost more than the limit, and None is no proof.
  size_t beam = 0;
};

/// Searches the cheapest feasible choice that costs at most a limit, with the
/// prices of `pricing`, whose margins must be prepared. Counts `labelsMade` up.
LabelOutcome eliminateWithLabels(const Problem &problem,
                                 const EliminationTree &tree,
                                 const Pricing &pricing,
                                 const LabelOptions &options, Deadline deadline,
                                 Choice &choice, size_t &labelsMade);

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_LABELELIMINATION_H
