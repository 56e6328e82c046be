//===- ChoiceState.h - A choice and what a change would cost ----*- C++ -*-===//
//
// Holds for every value of every node what the node would cost with it while
// all others stay as they are, and for every row of memory how full it is. Both
// are kept current at the cost of the neighbours and the intervals touched, so
// a step of a search may look at many nodes and change few.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_CHOICESTATE_H
#define TPC_LIB_SHARDING_SOLVER_CHOICESTATE_H

#include "FlatProblem.h"

namespace tpc::solver {

/// Numbers by row: adds to ranges and finds the largest in a range, both in
/// logarithmic time.
class RowLoads {
public:
  explicit RowLoads(const std::vector<int64_t> &loads);

  struct Largest {
    int64_t load;
    unsigned row;
  };
  void add(unsigned first, unsigned end, int64_t amount);
  /// The range must not be empty.
  Largest largest(unsigned first, unsigned end) const;

private:
  // A complete binary tree: the children of k are 2k and 2k + 1, row r is leaf
  // numLeaves + r. The largest below k is most[k], with what was added to k
  // itself, but without what was added above it.
  void find(unsigned k, unsigned first, unsigned end, unsigned begin,
            unsigned width, int64_t added, Largest &found) const;
  void add(unsigned k, unsigned first, unsigned end, unsigned begin,
           unsigned width, int64_t amount);

  unsigned numLeaves = 1;
  std::vector<int64_t> most, added;
};

class ChoiceState {
public:
  ChoiceState(const FlatProblem &flat, const Choice &choice);

  const Choice &current() const { return choice; }
  /// Scaled, without the constant of the problem; a forbidden entry counts
  /// kBig.
  double cost() const { return total; }
  /// By value: own cost and those of the edges to the neighbours' values.
  const double *around(unsigned node) const {
    return &conditioned[flat.begin[node]];
  }
  /// Bytes above the capacity, by row.
  const RowLoads &loads() const { return rows; }
  bool keepsMemory() const;

  void set(unsigned node, unsigned value);

private:
  const FlatProblem &flat;
  Choice choice;
  std::vector<double> conditioned;
  double total = 0;
  RowLoads rows;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_CHOICESTATE_H
