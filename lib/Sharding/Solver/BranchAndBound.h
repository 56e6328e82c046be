//===- BranchAndBound.h - Closes what is left -------------------*- C++ -*-===//
//
// Branch and bound with the bound of PriceAscent.h. A node of the
// tree splits the values of one node of the problem in two: those that take
// less memory than what the bound mixes, and those that take more. Example: the
// bound takes a value of 10 bytes half of the time and one of 30 bytes the
// other half, where 20 bytes are left; either branch makes it pay.
//
// Of the most promising splits the one is taken whose branches raise the bound
// the most after a few steps (strong branching). The node of the tree with the
// lowest bound is next, so that the bound of all rises; where that needs too
// much memory, it is the last one.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_BRANCHANDBOUND_H
#define TPC_LIB_SHARDING_SOLVER_BRANCHANDBOUND_H

#include "PriceAscent.h"

namespace tpc::solver {

class BranchAndBound {
public:
  /// `problem` is what `flat` was made from.
  BranchAndBound(const Problem &problem, const FlatProblem &flat,
                 const PriceAscent &root)
      : problem(problem), flat(flat), open{root} {}

  /// Choices that cost at least this (scaled; FlatProblem::target) are of no
  /// interest from now on.
  void setTarget(WideCost cost) { target = cost; }
  /// Goes on until so many entries are touched, or nothing of interest is left.
  void run(size_t work, Deadline deadline);

  /// Scaled; no choice costs less, or less than the target.
  WideCost bound() const;
  /// The last choice below the target that was met; empty: none yet.
  const Choice &found() const { return better; }
  /// A choice for the search to start from, feasible or not; may be empty.
  const Choice &candidate() const { return rounded; }

private:
  /// Splits the values of a node: those that are low, and the others.
  struct Split {
    unsigned node = 0;
    std::vector<bool> low;
    double score = 0;
  };

  PriceAscent takeNext();
  void expand(Deadline deadline);
  bool tighten(PriceAscent &state, Deadline deadline);
  std::optional<Split> splitNode(const PriceAscent &state, unsigned node) const;
  std::vector<Split> findSplits(const PriceAscent &state) const;
  PriceAscent branch(const PriceAscent &state, const Split &split, bool low);
  void offer(const Choice &choice);

  const Problem &problem;
  const FlatProblem &flat;
  std::vector<PriceAscent> open;
  WideCost target = 0;
  Choice better, rounded;
  size_t work = 0;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_BRANCHANDBOUND_H
