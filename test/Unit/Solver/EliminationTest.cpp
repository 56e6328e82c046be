//===- EliminationTest.cpp - Elimination, prices, labels ------------------===//

#include "LabelElimination.h"
#include "RandomProblem.h"
#include "tpc/Sharding/Solver/Solver.h"
#include <algorithm>
#include <gtest/gtest.h>

using namespace tpc::solver;
using namespace tpc::solver::test;

namespace {

Deadline never() { return after(1e6); }
constexpr size_t anySize = size_t(1) << 24;

bool hasNegativeCosts(const Problem &problem) {
  auto negative = [](const std::vector<Cost> &costs) {
    return std::any_of(costs.begin(), costs.end(),
                       [](Cost cost) { return cost < 0; });
  };
  return std::any_of(problem.nodes.begin(), problem.nodes.end(),
                     [&](const Node &node) { return negative(node.costs); }) ||
         std::any_of(problem.edges.begin(), problem.edges.end(),
                     [&](const Edge &edge) { return negative(*edge.costs); });
}

/// The same with one value of a node allowed.
Problem restricted(const Problem &problem, unsigned node, size_t value) {
  Problem result = problem;
  for (size_t v = 0; v < result.nodes[node].costs.size(); ++v)
    if (v != value)
      result.nodes[node].costs[v] = kForbidden;
  return result;
}

TEST(EliminationTest, MinimumAndMarginals) {
  for (uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem = makeRandomProblem(seed, 300);
    problem.memoryLimit.reset();
    auto tree = EliminationTree::build(problem, anySize);
    ASSERT_TRUE(tree);
    Elimination elimination(*tree, costsOf(problem));
    ASSERT_TRUE(elimination.run(never()));
    SolverResult expected = solveExhaustively(problem);
    if (expected.status == Status::Infeasible) {
      EXPECT_TRUE(elimination.minimum() >= kForbidden);
      continue;
    }
    ASSERT_EQ(toString(elimination.minimum()), toString(expected.cost));
    ASSERT_EQ(toString(price(problem, elimination.choice()).cost),
              toString(expected.cost));
    ASSERT_TRUE(elimination.runOutside(never()));
    for (unsigned node = 0; node < problem.nodes.size(); ++node)
      for (size_t v = 0; v < problem.numValues(node); ++v) {
        SolverResult best = solveExhaustively(restricted(problem, node, v));
        Cost over = elimination.marginal(node)[v];
        if (best.status == Status::Infeasible)
          ASSERT_EQ(over, kForbidden);
        else
          ASSERT_EQ(toString(over), toString(best.cost - expected.cost));
      }
  }
}

TEST(EliminationTest, LargeBucketsAreRefused) {
  Problem problem = makeLayers({.layers = 2, .values = 5});
  EXPECT_TRUE(EliminationTree::build(problem, 100000));
  EXPECT_FALSE(EliminationTree::build(problem, 30));
}

/// Whatever the prices, the bound is one; and labels find the optimum at the
/// limits around it, with one and with many dimensions.
TEST(EliminationTest, BoundsAndLabels) {
  size_t checked = 0, tight = 0;
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem = makeRandomProblem(seed, 1000);
    if (hasNegativeCosts(problem))
      continue;
    SolverResult expected = solveExhaustively(problem);
    auto tree = EliminationTree::build(problem, anySize);
    ASSERT_TRUE(tree);
    for (unsigned steps : {1u, 3u, 30u}) {
      TableOps tables;
      Pricing pricing(problem, *tree, tables);
      ASSERT_TRUE(pricing.ascend(steps, kForbidden, never()));
      if (expected.status == Status::Infeasible) {
        EXPECT_TRUE(pricing.choice().empty());
        continue;
      }
      ASSERT_TRUE(pricing.bound() <= expected.cost);
      tight += pricing.bound() == expected.cost;
      ASSERT_TRUE(pricing.prepareMargins(never()));
      ++checked;
      for (int over : {-1, 0, 1, 500}) {
        Choice choice;
        size_t made = 0;
        LabelOptions options{expected.cost + over, 1'000'000};
        LabelOutcome outcome = eliminateWithLabels(
            problem, *tree, pricing, options, never(), choice, made);
        if (over < 0) {
          ASSERT_EQ(outcome, LabelOutcome::None);
          continue;
        }
        ASSERT_EQ(outcome, LabelOutcome::Found);
        Price found = price(problem, choice);
        ASSERT_TRUE(found.feasible);
        ASSERT_EQ(toString(found.cost), toString(expected.cost));
        options.beam = 2;
        if (eliminateWithLabels(problem, *tree, pricing, options, never(),
                                choice, made) == LabelOutcome::Found)
          ASSERT_TRUE(price(problem, choice).feasible);
        options.work = 1;
        ASSERT_EQ(eliminateWithLabels(problem, *tree, pricing, options, never(),
                                      choice, made),
                  LabelOutcome::GaveUp);
      }
    }
  }
  EXPECT_GT(checked, 1000u);
  EXPECT_GT(tight, 500u);
}

} // namespace
