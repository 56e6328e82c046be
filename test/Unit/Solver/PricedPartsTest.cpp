//===- PricedPartsTest.cpp - Prices of memory, and what they find ---------===//

#include "PricedParts.h"
#include "Envelope.h"
#include "Mixing.h"
#include "RandomProblem.h"
#include "tpc/Sharding/Solver/Solver.h"
#include <cmath>
#include <gtest/gtest.h>

using namespace tpc::solver;
using namespace tpc::solver::test;

namespace {

double heightAt(const std::vector<Plane> &planes,
                const std::vector<double> &prices) {
  double least = std::numeric_limits<double>::infinity();
  for (const Plane &plane : planes) {
    double height = plane.constant;
    for (size_t t = 0; t < prices.size(); ++t)
      height += prices[t] * plane.slopes[t];
    least = std::min(least, height);
  }
  return least;
}

TEST(Envelope, IsNowhereHigher) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    size_t count = 1 + random.below(8), dims = random.below(4);
    std::vector<Plane> planes(count);
    for (Plane &plane : planes) {
      plane.constant = double(random.between(0, 1000));
      for (size_t t = 0; t < dims; ++t)
        plane.slopes.push_back(double(random.between(-50, 50)));
    }
    double most = double(random.between(1, 40));
    EnvelopePoint found = highestPoint(planes, most);
    ASSERT_EQ(found.prices.size(), dims);
    double sum = 0;
    for (double price : found.prices) {
      EXPECT_GE(price, 0);
      sum += price;
    }
    EXPECT_LE(sum, most * (1 + 1e-9));
    EXPECT_NEAR(found.height, heightAt(planes, found.prices), 1e-6);
    for (int i = 0; i < 500; ++i) {
      std::vector<double> prices(dims);
      double left = most;
      for (double &price : prices)
        left -= price = left * double(random.below(1001)) / 1000;
      EXPECT_LE(heightAt(planes, prices), found.height + 1e-6);
    }
  }
}

TEST(Mixing, IsFeasibleAndNoDearer) {
  size_t mixed = 0, better = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(seed);
    Problem problem = makeRandomProblem(seed);
    if (!problem.memoryLimit)
      continue;
    Problem unlimited = problem;
    unlimited.memoryLimit.reset();
    SolverResult cheap = solveExhaustively(unlimited);
    SolverResult best = solveExhaustively(problem);
    if (best.choice.empty() || price(problem, cheap.choice).feasible)
      continue;
    // Any choice that fits.
    Random random(seed);
    Choice fitting(problem.nodes.size());
    for (int tries = 0; tries < 200; ++tries) {
      for (size_t i = 0; i < fitting.size(); ++i)
        fitting[i] = unsigned(random.below(problem.numValues(unsigned(i))));
      if (price(problem, fitting).feasible)
        break;
    }
    if (!price(problem, fitting).feasible)
      continue;
    Price found = price(problem, mix(problem, cheap.choice, fitting));
    EXPECT_TRUE(found.feasible);
    EXPECT_GE(found.cost, best.cost);
    ++mixed;
    better += found.cost < price(problem, fitting).cost;
  }
  EXPECT_GT(mixed, 100U);
  EXPECT_GT(better, mixed / 4);
}

/// Six nodes without edges that save 10 bytes each for a cost of their own:
/// those that save cheapest go over.
TEST(Mixing, TakesTheCheapest) {
  Problem problem;
  for (Cost cost : {5, 1, 4, 2, 6, 3})
    problem.nodes.push_back({{0, cost}, {{{0, 1}, {10, 0}}}});
  problem.memoryLimit = 30;
  Choice mixed = mix(problem, Choice(6, 0), Choice(6, 1));
  EXPECT_EQ(mixed, (Choice{0, 1, 0, 1, 0, 1}));
}

TEST(PricedParts, BoundsAndFitsLayers) {
  double gaps = 0;
  int solved = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    LayersShape shape;
    shape.layers = 2;
    shape.operations = 3;
    shape.parameters = 1;
    shape.values = 3;
    shape.memory = true;
    shape.limitPercent = unsigned(20 + seed % 5 * 15);
    shape.seed = seed;
    Problem problem = makeLayers(shape);
    problem.parts.assign(problem.nodes.size(), 0);
    SolverResult expected = solveExhaustively(problem);
    auto found = solvePricedParts(problem, {}, after(20));
    ASSERT_TRUE(found);
    if (expected.status == Status::Infeasible) {
      EXPECT_TRUE(found->choice.empty());
      continue;
    }
    EXPECT_LE(found->bound, expected.cost);
    if (found->choice.empty())
      continue;
    Price price_ = price(problem, found->choice);
    EXPECT_TRUE(price_.feasible);
    EXPECT_EQ(price_.cost, found->cost);
    EXPECT_GE(found->cost, expected.cost);
    EXPECT_EQ(found->proven, found->cost == found->bound);
    gaps += double(found->cost - expected.cost) / double(expected.cost);
    ++solved;
  }
  EXPECT_GE(solved, 25);
  // One price for all layers, and what mixing makes of it.
  EXPECT_LT(gaps / solved, 0.05);
}

/// No choice takes less than 12 bytes: prices rise without an end, and show it.
TEST(PricedParts, ShowsThatNothingFits) {
  Problem problem;
  for (int i = 0; i < 3; ++i)
    problem.nodes.push_back({{0, 7}, {{{0, 1}, {10, 4}}}});
  problem.parts.assign(3, 0);
  problem.memoryLimit = 11;
  SolverResult result = solve(problem);
  EXPECT_EQ(result.status, Status::Infeasible);
  EXPECT_EQ(findFeasible(problem, 10).status, Status::Infeasible);
  problem.memoryLimit = 12;
  EXPECT_EQ(solve(problem).cost, 21);
}

} // namespace
