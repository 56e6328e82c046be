//===- BranchAndBound.h - Closes what is left -------------------*- C++ -*-===//
//
// Depth-first branch and bound with the bound of PriceAscent.h. A node of the
// tree splits the values of one node of the problem in two: those that take
// less memory than what the bound mixes, and those that take more. Example: the
// bound takes a value of 10 bytes half of the time and one of 30 bytes the
// other half, where 20 bytes are left; either branch makes it pay.
//
// Of the most promising splits the one is taken whose branches raise the bound
// the most after a few steps (strong branching).
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_BRANCHANDBOUND_H
#define TPC_LIB_SHARDING_SOLVER_BRANCHANDBOUND_H

#include "PriceAscent.h"

namespace tpc::solver {

class BranchAndBound {
public:
  BranchAndBound(const FlatProblem &flat, const PriceAscent &root)
      : flat(flat), open{root} {}

  /// Only choices that cost less (scaled) are of interest from now on.
  void setTarget(WideCost cost) { target = cost; }
  /// Goes on until so many entries are touched.
  void run(size_t work, Deadline deadline);

  /// No choice of interest is left.
  bool closed() const { return open.empty(); }
  /// Scaled; no choice costs less, or less than the target.
  WideCost bound() const;
  /// A choice from the last node of the tree, for the search to improve.
  const Choice &candidate() const { return rounded; }

public:
  /// Splits the values of `node`: those in `low`, and the others.
  struct Split {
    unsigned node = 0;
    std::vector<bool> low;
    double score = 0;
  };

  void expand(Deadline deadline);
  bool tighten(PriceAscent &state, Deadline deadline);
  std::vector<Split> findSplits(const PriceAscent &state) const;
  PriceAscent branch(const PriceAscent &state, const Split &split, bool low);

  const FlatProblem &flat;
  /// The last one is next.
  std::vector<PriceAscent> open;
  WideCost target = 0;
  Choice rounded;
  size_t work = 0;
public: size_t nodes=0;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_BRANCHANDBOUND_H
