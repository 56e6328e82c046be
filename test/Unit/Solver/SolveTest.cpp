//===- SolveTest.cpp - solve() against every choice -----------------------===//

#include "RandomProblem.h"
#include "tpc/Sharding/Solver/Solver.h"
#include <gtest/gtest.h>

using namespace tpc::solver;
using namespace tpc::solver::test;

namespace {

/// What must hold of any answer.
void expectValid(const Problem &problem, const SolverResult &result) {
  if (result.choice.empty())
    return;
  Price priced = price(problem, result.choice);
  EXPECT_TRUE(priced.feasible);
  EXPECT_EQ(toString(priced.cost), toString(result.cost));
  EXPECT_LE(toString(result.bound).size(), 40u);
  EXPECT_TRUE(result.bound <= result.cost);
}

TEST(SolveTest, FindsTheOptimumOfRandomProblems) {
  size_t optimal = 0, infeasible = 0;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Problem problem = makeRandomProblem(seed);
    SolverResult expected = solveExhaustively(problem);
    SolverResult result = solve(problem);
    ASSERT_EQ(result.status, expected.status);
    expectValid(problem, result);
    if (expected.status == Status::Infeasible) {
      ++infeasible;
      EXPECT_EQ(result.limitedBy, "infeasibility");
      continue;
    }
    ++optimal;
    ASSERT_EQ(toString(result.cost), toString(expected.cost));
    ASSERT_EQ(toString(result.bound), toString(expected.cost));
    EXPECT_EQ(result.gap(), 0);
    EXPECT_EQ(result.limitedBy, "optimality");
  }
  EXPECT_GT(optimal, 1000u);
  EXPECT_GT(infeasible, 200u);
}

} // namespace
