//===- Pricing.h - Memory as a cost -----------------------------*- C++ -*-===//
//
// With a price on every byte in every row, the limit needs not be looked at:
//
//   min over x of  K cost(x) + sum over rows of price (memory(x) - slack)
//
// is at most K times the optimum, whatever the prices (Lagrange). It is
// minimized exactly by elimination; the prices are raised where x violates a
// row, and lowered where it leaves some. K scales costs, so that prices can be
// integers and the bound is exact.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_PRICING_H
#define TPC_LIB_SHARDING_SOLVER_PRICING_H

#include "Elimination.h"
#include "MemoryRows.h"

namespace tpc::solver {

class Pricing {
public:
  /// `tree` is that of `problem`, all of whose costs are at least 0.
  Pricing(const Problem &problem, const EliminationTree &tree,
          TableOps &tables);

  /// Searches for prices with a high bound, in at most `steps` eliminations,
  /// and ends early once the bound exceeds `enough`. False if the time was up
  /// before there was a bound.
  bool ascend(unsigned steps, WideCost enough, Deadline deadline);
  /// Prepares the outside messages of elimination().
  bool prepareMargins(Deadline deadline) {
    return best.elimination->runOutside(deadline);
  }

  const MemoryRows &memoryRows() const { return rows; }
  /// No feasible choice costs less; kForbidden if there is none.
  WideCost bound() const;
  /// By how much more than its minimum the priced problem may cost for choices
  /// of at most `cost`.
  WideCost margin(WideCost cost) const { return scale * cost - best.value; }
  /// The inverse: margin(costAt(m)) is m or little less.
  WideCost costAt(WideCost margin) const {
    return (best.value + margin) / scale;
  }
  /// At the best prices.
  const Elimination &elimination() const { return *best.elimination; }

  /// The cheapest feasible choice that was come across; empty: none.
  const Choice &choice() const { return found; }
  WideCost choiceCost() const { return foundCost; }

private:
  using Prices = std::vector<int64_t>;
  struct Point {
    Prices prices;
    std::shared_ptr<Elimination> elimination;
    WideCost value = 0;
    /// Memory over slack, by row: the slope of the value.
    std::vector<WideCost> excess;
  };

  /// Nothing if the numbers get too large or the time is up.
  std::optional<Point> evaluate(Prices prices);
  std::optional<EliminationCosts> priced(const Prices &prices) const;
  void remember(const Choice &choice);
  /// The best price of one row, the others as they are.
  bool searchRow(size_t row);
  void followSubgradient();
  bool accept(Point &&point);
  bool isDone() const;

  const Problem &problem;
  const EliminationTree &tree;
  MemoryRows rows;
  WideCost scale = 1;
  std::vector<std::vector<Cost>> nodeCosts;
  std::shared_ptr<const std::vector<CostTable>> edgeCosts;
  Point best;
  Choice found;
  WideCost foundCost = 0;
  unsigned stepsLeft = 0;
  WideCost enoughBound = 0;
  Deadline until;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_PRICING_H
