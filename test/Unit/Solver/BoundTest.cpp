//===- BoundTest.cpp - Bounds are below every feasible choice -------------===//

#include "Bound.h"
#include "PriceAscent.h"
#include "RandomProblem.h"
#include "tpc/Sharding/Solver/Solver.h"
#include <gtest/gtest.h>

using namespace tpc::solver;
using namespace tpc::solver::test;

namespace {

Choice randomChoice(const Problem &problem, Random &random) {
  Choice choice;
  for (const Node &node : problem.nodes)
    choice.push_back(unsigned(random.below(node.costs.size())));
  return choice;
}

/// Prices about as high as those that matter, some of them 0.
std::vector<double> randomPrices(const FlatProblem &flat, Random &random) {
  std::vector<double> prices;
  for (size_t r = 0; r < flat.memory.numRows(); ++r)
    prices.push_back(random.chance(30) ? 0.0
                                       : double(random.below(1 << 20)) *
                                             double(random.below(1 << 20)));
  return prices;
}

TEST(CapacityRowsTest, AgreeWithTheLimit) {
  size_t kept = 0, broken = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem = makeRandomProblem(seed);
    if (!problem.memoryLimit)
      continue;
    CapacityRows rows(problem);
    Random random(seed);
    for (unsigned k = 0; k < 10; ++k) {
      Choice choice = randomChoice(problem, random);
      std::vector<int64_t> load(rows.numRows(), 0);
      for (unsigned i = 0; i < problem.nodes.size(); ++i)
        for (unsigned u = rows.useBegin[i]; u < rows.useBegin[i + 1]; ++u)
          for (unsigned r = rows.uses[u].firstRow; r < rows.uses[u].endRow; ++r)
            load[r] += rows.excess[rows.uses[u].bytes + choice[i]];
      bool fits = true;
      for (size_t r = 0; r < rows.numRows(); ++r)
        fits &= load[r] <= rows.capacity[r];
      ASSERT_EQ(fits, price(problem, choice).peakBytes <= *problem.memoryLimit);
      ++(fits ? kept : broken);
    }
  }
  EXPECT_GT(kept, 1000u);
  EXPECT_GT(broken, 1000u);
}

TEST(BoundTest, IsBelowTheOptimumAfterEveryPass) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem = makeRandomProblem(seed);
    SolverResult optimum = solveExhaustively(problem);
    if (optimum.status == Status::Infeasible)
      continue;
    FlatProblem flat(problem);
    Bound bound(flat);
    Random random(seed);
    for (unsigned k = 0; k < 12; ++k) {
      if (k % 3 == 2)
        bound.setPrices(randomPrices(flat, random));
      WideCost found = flat.unscaleBound(bound.pass(random.chance(50)));
      ASSERT_TRUE(found <= optimum.cost)
          << toString(found) << " > " << toString(optimum.cost);
    }
  }
}

TEST(BoundTest, MeetsTheOptimumOfTrees) {
  // Without memory messages along a chain are dynamic programming.
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Problem problem;
    Random random(seed);
    for (unsigned i = 0; i < 5; ++i) {
      Node node;
      for (unsigned v = 0; v < 3; ++v)
        node.costs.push_back(random.between(0, 1000));
      problem.nodes.push_back(node);
      std::vector<Cost> costs;
      for (unsigned k = 0; k < 9; ++k)
        costs.push_back(random.between(0, 1000));
      if (i > 0)
        problem.edges.push_back(
            {i - 1, i, std::make_shared<const std::vector<Cost>>(costs)});
    }
    FlatProblem flat(problem);
    Bound bound(flat);
    bound.pass(/*forward=*/true);
    WideCost found = flat.unscaleBound(bound.pass(/*forward=*/false));
    EXPECT_EQ(toString(found), toString(solveExhaustively(problem).cost));
    EXPECT_EQ(toString(price(problem, bound.round()).cost), toString(found));
  }
}

TEST(BoundTest, FixesNoValueOfTheOptimum) {
  size_t numFixed = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem = makeRandomProblem(seed);
    SolverResult optimum = solveExhaustively(problem);
    if (optimum.status == Status::Infeasible)
      continue;
    FlatProblem flat(problem);
    Bound bound(flat);
    Random random(seed);
    for (unsigned k = 0; k < 4; ++k) {
      bound.pass(/*forward=*/true);
      numFixed +=
          bound.fix(bound.pass(/*forward=*/false), flat.scale(optimum.cost));
      for (unsigned i = 0; i < problem.nodes.size(); ++i)
        ASSERT_FALSE(bound.isForbidden(i, optimum.choice[i]));
      bound.setPrices(randomPrices(flat, random));
    }
  }
  EXPECT_GT(numFixed, 500u);
}

TEST(PriceAscentTest, RaisesTheBoundUpToTheOptimum) {
  size_t raised = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem = makeRandomProblem(seed);
    SolverResult optimum = solveExhaustively(problem);
    if (optimum.status == Status::Infeasible)
      continue;
    FlatProblem flat(problem);
    PriceAscent ascent(flat);
    ascent.run(10, after(60));
    WideCost before = ascent.bound();
    ascent.run(100, after(60));
    raised += ascent.bound() > before;
    ASSERT_TRUE(flat.unscaleBound(ascent.bound()) <= optimum.cost);
  }
  EXPECT_GT(raised, 100u);
}

TEST(FlatProblemTest, TakesCostsOfAnySize) {
  // Far more than 53 bits, and one that does not matter next to it.
  Problem problem;
  problem.nodes = {{{kForbidden - 1, kForbidden - 3}, {}}, {{7, -5}, {}}};
  problem.edges = {{0, 1,
                    std::make_shared<const std::vector<Cost>>(std::vector<Cost>{
                        0, kForbidden, kForbidden - 1, kForbidden})}};
  WideCost optimum = solveExhaustively(problem).cost;
  FlatProblem flat(problem);
  Bound bound(flat);
  bound.pass(/*forward=*/true);
  WideCost found = flat.unscaleBound(bound.pass(/*forward=*/false));
  EXPECT_TRUE(found <= optimum);
  EXPECT_LT(double(optimum - found), 1e-9 * double(optimum));
}

} // namespace
