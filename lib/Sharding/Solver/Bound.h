//===- Bound.h - A lower bound from messages and prices ---------*- C++ -*-===//
//
// Two relaxations, one inside the other:
//
// Memory is priced. Every row of memory has a price of at least 0 a byte; what
// a node uses is added to the costs of its values, and what the rows hold is
// taken off in the end. Whatever the prices, a choice that keeps all rows costs
// no more than before, so the optimum with prices is a lower bound.
//
// The priced problem is bounded by messages (sequential tree-reweighted message
// passing, Kolmogorov 2006). A message moves cost from an edge, and from what
// lies behind it, to the values of a node; nothing is added or lost:
//
//   total = sum of nodes (own cost + messages received)
//         + sum of edges (table - message to the one - message to the other)
//
// A pass goes through the nodes in order, forward or backward. Node i, which
// has received M, splits its cost D = own + sum of M, less its least entry
// which goes into the bound, evenly among the edges ahead, and for each of them
// sends on what is the least that node and edge can cost together:
//
//   message(value) = min over own values (share(own) - received back(own)
//                                         + table(own, value))
//
// less its least entry, which goes into the bound as well. What remains at
// nodes and edges is then at least 0 everywhere: the bound holds after every
// pass, with messages of any kind before it. All of this is integer arithmetic
// (FlatProblem.h), shares are rounded down: bounds are exact.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_BOUND_H
#define TPC_LIB_SHARDING_SOLVER_BOUND_H

#include "FlatProblem.h"

namespace tpc::solver {

class Bound {
public:
  explicit Bound(const FlatProblem &flat);

  /// Sets the prices, in scaled cost a byte by row; negative ones count as 0.
  void setPrices(const std::vector<double> &prices);
  /// The prices that setPrices made of what it was given.
  std::vector<double> prices() const;

  /// One pass; returns the bound, scaled.
  WideCost pass(bool forward);

  /// After a backward pass: a choice in which every node takes what is best
  /// with its earlier neighbours and the messages from later ones.
  Choice round() const;

  /// By node, the value with the least cost in the last pass.
  const Choice &argmin() const { return least; }

  /// After a backward pass that returned `bound`: forbids the values that no
  /// choice of at most the scaled cost `atMost` has; returns how many.
  size_t fix(WideCost bound, WideCost atMost);
  /// Forbids a value.
  void forbid(unsigned node, unsigned value);
  bool isForbidden(unsigned node, unsigned value) const {
    return own[flat->begin[node] + value] >= FlatProblem::kBig;
  }

  /// By value of a node.
  const double *ownCosts(unsigned node) const {
    return &own[flat->begin[node]];
  }
  const double *costsWithMemory(unsigned node) const {
    return &priced[flat->begin[node]];
  }

  /// Entries touched by a pass: what a step of work is counted in.
  size_t workOfPass() const { return work; }

private:
  template <bool forward> WideCost passInDirection();
  void receive(unsigned node, double *sum) const;

  const FlatProblem *flat;
  /// Costs by value without and with prices; kBig where forbidden.
  std::vector<double> own, priced;
  /// Received by a node, by arc.
  std::vector<double> messages;
  /// By arc, what the last message along it took off into the bound.
  std::vector<double> taken;
  /// Prices in fixed point: scaled cost a byte times 2^priceShift.
  std::vector<int64_t> rowPrices;
  int priceShift = 0;
  /// What the rows hold at these prices, rounded up.
  WideCost priceOfCapacity = 0;
  Choice least;
  size_t work = 0;
  unsigned maxSlots = 0;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_BOUND_H
