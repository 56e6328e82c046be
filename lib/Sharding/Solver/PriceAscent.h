//===- PriceAscent.h - Finds the prices of memory ---------------*- C++ -*-===//
//
// The bound as a function of the prices is concave (as far as the messages are
// the best there are), and its slope in a row's price is by how much the choice
// that attains it overflows the row. Prices follow the slope, averaged over
// steps, since single choices jump from one end to the other; the length of a
// step is a part of the distance to the best known cost (Polyak 1969), and
// shrinks where the bound does not improve.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_PRICEASCENT_H
#define TPC_LIB_SHARDING_SOLVER_PRICEASCENT_H

#include "Bound.h"
#include "Deadline.h"
#include <optional>

namespace tpc::solver {

class PriceAscent {
public:
  explicit PriceAscent(const FlatProblem &flat);

  /// Choices that cost at least this (scaled; FlatProblem::target) are of no
  /// interest from now on.
  void setTarget(WideCost cost) { target = cost; }
  /// Takes so many steps, fewer when the bound reaches the target or the time
  /// is over. Returns how many entries were touched.
  size_t run(size_t count, Deadline deadline);
  size_t workOfStep() const { return 2 * relaxation.workOfPass(); }
  /// Forbids a value. The bound stays valid, and may now be too low.
  void forbid(unsigned node, unsigned value) { relaxation.forbid(node, value); }
  /// Steps get long again, after values were forbidden.
  void restart();
  /// Forbids what no choice has that costs less than the target; returns how
  /// many values.
  size_t fix();

  /// The best bound on choices that cost less than the target, scaled.
  WideCost bound() const { return bestBound; }
  bool closed() const { return target && bestBound >= *target; }
  /// The prices of the best bound.
  const std::vector<double> &prices() const { return bestPrices; }
  /// A choice that fits the prices, though not always the rows.
  Choice round();
  /// By value of a node: how often it was the best of late.
  const double *shares(unsigned node) const {
    return &taken[flat->begin[node]];
  }
  /// What a copy takes.
  size_t bytes() const {
    return sizeof(double) *
           (flat->messageSlots + 3 * taken.size() + 5 * current.size());
  }
  const Bound &messages() const { return relaxation; }

private:
  void step();
  double passes();
  void averageSlope();
  void move(double bound);

  const FlatProblem *flat;
  Bound relaxation;
  std::optional<WideCost> target;
  std::vector<double> current, bestPrices, slope, fresh, taken;
  WideCost bestBound = 0;
  double leastWeight, stepLength = 0.1;
  unsigned steps = 0, stale = 0;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_PRICEASCENT_H
