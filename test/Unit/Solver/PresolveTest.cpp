//===- PresolveTest.cpp - Reductions preserve the optimum -----------------===//

#include "Presolve.h"
#include "RandomProblem.h"
#include "tpc/Sharding/Solver/Solver.h"
#include <gtest/gtest.h>

using namespace tpc::solver;
using namespace tpc::solver::test;

namespace {

Deadline never() { return after(1e6); }

TEST(PresolveTest, PreservesTheOptimum) {
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem = makeRandomProblem(seed);
    ASSERT_EQ(problem.check(), std::nullopt);
    SolverResult expected = solveExhaustively(problem);
    Presolved presolved = presolve(problem, never());
    if (presolved.infeasible) {
      ASSERT_EQ(expected.status, Status::Infeasible);
      continue;
    }
    ASSERT_EQ(presolved.problem.check(), std::nullopt);
    SolverResult reduced = solveExhaustively(presolved.problem);
    ASSERT_EQ(reduced.status, expected.status);
    if (expected.status == Status::Infeasible)
      continue;
    ASSERT_EQ(toString(reduced.cost + presolved.constant),
              toString(expected.cost));
    Price expanded = price(problem, presolved.expand(reduced.choice));
    ASSERT_TRUE(expanded.feasible);
    ASSERT_EQ(toString(expanded.cost), toString(expected.cost));
  }
}

/// Not only the optimum: every choice that is left has the price it had.
TEST(PresolveTest, ExpandsEveryChoiceAtItsPrice) {
  Random random(7);
  size_t left = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem = makeRandomProblem(seed, UINT64_MAX / 5);
    Presolved presolved = presolve(problem, never());
    if (presolved.infeasible)
      continue;
    left += presolved.problem.nodes.size();
    for (int i = 0; i < 20; ++i) {
      Choice choice;
      for (const Node &node : presolved.problem.nodes)
        choice.push_back(
            static_cast<unsigned>(random.below(node.costs.size())));
      Price reduced = price(presolved.problem, choice);
      if (!reduced.feasible)
        continue;
      Choice original = presolved.expand(choice);
      Price expanded = price(problem, original);
      ASSERT_TRUE(expanded.feasible);
      ASSERT_EQ(toString(expanded.cost),
                toString(reduced.cost + presolved.constant));
      ASSERT_EQ(presolved.reduce(original), choice);
    }
  }
  EXPECT_GT(left, 300u); // something was tested
}

/// Where costs are too large to be added up, nothing is reduced.
TEST(PresolveTest, LeavesHugeCostsAlone) {
  Problem problem;
  problem.nodes = {{{kForbidden - 1, -kForbidden}, {}}, {{0, 5}, {}}};
  problem.edges = {{0, 1,
                    std::make_shared<const std::vector<Cost>>(
                        std::vector<Cost>{1, 2, 3, kForbidden - 1})}};
  Presolved presolved = presolve(problem, never());
  EXPECT_FALSE(presolved.infeasible);
  EXPECT_EQ(presolved.problem.nodes.size(), 2u);
  EXPECT_EQ(presolved.expand({1, 0}), (Choice{1, 0}));
}

} // namespace
