//===- RandomProblem.h - Problems for the solver's tests --------*- C++ -*-===//

#ifndef TPC_TEST_UNIT_SOLVER_RANDOMPROBLEM_H
#define TPC_TEST_UNIT_SOLVER_RANDOMPROBLEM_H

#include "tpc/Sharding/Solver/Problem.h"
#include <random>

namespace tpc::solver::test {

/// The same numbers everywhere, unlike the standard's distributions.
class Random {
public:
  explicit Random(uint64_t seed) : engine(seed) {}
  /// From 0 to below - 1.
  uint64_t below(uint64_t limit) { return engine() % limit; }
  int64_t between(int64_t low, int64_t high) {
    return low +
           static_cast<int64_t>(below(static_cast<uint64_t>(high - low + 1)));
  }
  bool chance(unsigned percent) { return below(100) < percent; }

private:
  std::mt19937_64 engine;
};

/// A small problem (at most `maxChoices` choices) of a random kind: a tree, a
/// chain, a grid, dense, without edges; with parallel edges, forbidden
/// entries, negative costs, ties; with no, loose, tight or impossible limits
/// on memory in several intervals.
Problem makeRandomProblem(uint64_t seed, uint64_t maxChoices = 3000);

/// A graph of equal layers, as models have them.
struct LayersShape {
  unsigned layers = 4;
  /// Nodes of a layer: operations in a chain with some skip connections.
  unsigned operations = 6;
  /// Parameters, each with an edge to one operation.
  unsigned parameters = 2;
  unsigned values = 4;
  /// Operations that take memory while they are live; parameters always do.
  bool memory = false;
  /// Of the way from the least to the most memory that choices can take.
  unsigned limitPercent = 50;
  uint64_t seed = 1;
};
Problem makeLayers(const LayersShape &shape);

} // namespace tpc::solver::test

#endif // TPC_TEST_UNIT_SOLVER_RANDOMPROBLEM_H
