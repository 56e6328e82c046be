//===- SearchTest.cpp - search() against every choice ---------------------===//

#include "Search.h"
#include "BranchAndBound.h"
#include "ForestMoves.h"
#include "RandomProblem.h"
#include <algorithm>
#include <gtest/gtest.h>

using namespace tpc::solver;
using test::LayersShape;
using test::makeLayers;
using test::makeRandomProblem;

namespace {

/// Too large to be closed in the time of a test.
Problem makeLarge() {
  LayersShape shape;
  shape.layers = 40;
  shape.operations = 30;
  shape.parameters = 10;
  shape.values = 8;
  shape.memory = true;
  shape.limitPercent = 30;
  return makeLayers(shape);
}

TEST(ChoiceStateTest, StaysCurrent) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem = makeRandomProblem(seed);
    FlatProblem flat(problem);
    Random random(seed);
    ChoiceState state(flat, Choice(problem.nodes.size(), 0));
    for (unsigned k = 0; k < 20; ++k) {
      unsigned node = random.below(flat.numNodes());
      state.set(node, random.below(flat.numValues[node]));
      ChoiceState fresh(flat, state.current());
      ASSERT_EQ(state.cost(), fresh.cost());
      ASSERT_EQ(state.keepsMemory(), fresh.keepsMemory());
      for (unsigned i = 0; i < flat.numNodes(); ++i)
        for (unsigned v = 0; v < flat.numValues[i]; ++v)
          ASSERT_EQ(state.around(i)[v], fresh.around(i)[v]);
      Price priced = price(problem, state.current());
      if (priced.feasible && state.cost() < FlatProblem::kMostFinite)
        ASSERT_EQ(toString(flat.constant + int64_t(state.cost())),
                  toString(flat.scale(priced.cost)));
    }
  }
}

TEST(RowLoadsTest, FindTheLargest) {
  Random random(1);
  std::vector<int64_t> loads(37);
  for (int64_t &load : loads)
    load = int64_t(random.below(100)) - 50;
  RowLoads rows(loads);
  for (unsigned k = 0; k < 2000; ++k) {
    unsigned first = random.below(37),
             end = first + 1 + random.below(37 - first);
    if (k % 2 == 0) {
      int64_t amount = int64_t(random.below(21)) - 10;
      rows.add(first, end, amount);
      for (unsigned r = first; r < end; ++r)
        loads[r] += amount;
    }
    RowLoads::Largest found = rows.largest(first, end);
    EXPECT_EQ(found.load,
              *std::max_element(loads.begin() + first, loads.begin() + end));
    EXPECT_EQ(found.load, loads[found.row]);
  }
}

TEST(SearchTest, IsBetweenBoundAndOptimum) {
  size_t feasible = 0, optimal = 0, proven = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem = makeRandomProblem(seed);
    SolverResult optimum = solveExhaustively(problem);
    SearchResult result = search(problem, {}, after(60), /*maxRounds=*/2);
    if (optimum.status == Status::Infeasible) {
      EXPECT_TRUE(result.choice.empty());
      continue;
    }
    ++feasible;
    EXPECT_TRUE(result.bound <= optimum.cost);
    if (result.choice.empty())
      continue;
    Price priced = price(problem, result.choice);
    EXPECT_TRUE(priced.feasible);
    EXPECT_EQ(toString(priced.cost), toString(result.cost));
    EXPECT_TRUE(result.cost >= optimum.cost);
    optimal += result.cost == optimum.cost;
    proven += result.bound == result.cost;
  }
  EXPECT_GT(feasible, 25u);
  EXPECT_GT(optimal, feasible * 98 / 100);
  EXPECT_GT(proven, feasible * 9 / 10);
}

TEST(SearchTest, BranchAndBoundClosesTheGap) {
  size_t closed = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem = makeRandomProblem(seed);
    SolverResult optimum = solveExhaustively(problem);
    if (optimum.status == Status::Infeasible)
      continue;
    FlatProblem flat(problem);
    PriceAscent root(flat);
    // One above the optimum: that is all that can be found.
    WideCost target = flat.target(optimum.cost + 1);
    root.setTarget(target);
    root.run(30, after(60));
    BranchAndBound tree(problem, flat, root);
    tree.setTarget(target);
    tree.run(50'000'000, after(60));
    if (flat.unscaleBound(tree.bound()) < optimum.cost)
      continue;
    ++closed;
    EXPECT_EQ(toString(flat.unscaleBound(tree.bound())),
              toString(optimum.cost));
    ASSERT_FALSE(tree.found().empty());
    Price priced = price(problem, tree.found());
    EXPECT_TRUE(priced.feasible);
    EXPECT_EQ(toString(priced.cost), toString(optimum.cost));
  }
  EXPECT_GT(closed, 150u);
}

TEST(SearchTest, IsDeterministic) {
  Problem problem = makeLarge();
  SearchResult first = search(problem, {}, after(600), /*maxRounds=*/8);
  SearchResult second = search(problem, {}, after(600), /*maxRounds=*/8);
  ASSERT_FALSE(first.choice.empty());
  EXPECT_EQ(first.choice, second.choice);
  EXPECT_EQ(toString(first.bound), toString(second.bound));
}

TEST(SearchTest, IsNeverWorseThanTheStart) {
  Problem problem = makeLarge();
  SearchResult first = search(problem, {}, after(600), /*maxRounds=*/4);
  ASSERT_FALSE(first.choice.empty());
  SearchResult second =
      search(problem, first.choice, after(600), /*maxRounds=*/1);
  EXPECT_TRUE(second.cost <= first.cost);
}

TEST(SearchTest, KeepsTheDeadline) {
  Problem problem = makeLarge();
  for (double seconds : {0.0, 0.2, 1.0}) {
    Clock::time_point begin = Clock::now();
    SearchResult result = search(problem, {}, after(seconds));
    EXPECT_LT(secondsSince(begin), seconds + 0.5);
    if (!result.choice.empty())
      EXPECT_TRUE(price(problem, result.choice).feasible);
  }
}

} // namespace
