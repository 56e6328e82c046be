//===- PartsTest.cpp - Elimination over classes, and parts ----------------===//

#include "Parts.h"
#include "ClassElimination.h"
#include "RandomProblem.h"
#include "tpc/Sharding/Solver/Json.h"
#include <gtest/gtest.h>

using namespace tpc::solver;
using namespace tpc::solver::test;

namespace {

constexpr size_t kEntries = size_t(1) << 20;

/// By node and value, the least cost of a choice that takes it, memory aside.
std::vector<std::vector<WideCost>> leastCosts(const Problem &problem) {
  std::vector<std::vector<WideCost>> least;
  for (const Node &node : problem.nodes)
    least.emplace_back(node.costs.size(), kForbidden);
  Choice choice(problem.nodes.size(), 0);
  while (true) {
    Price found = price(problem, choice);
    if (found.feasible)
      for (size_t i = 0; i < choice.size(); ++i)
        least[i][choice[i]] = std::min(least[i][choice[i]], found.cost);
    size_t i = 0;
    while (i < choice.size() && ++choice[i] == problem.numValues(i))
      choice[i++] = 0;
    if (i == choice.size())
      return least;
  }
}

TEST(ClassElimination, FindsTheOptimumAndBoundsMarginals) {
  size_t exact = 0, all = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    Problem problem = makeRandomProblem(seed);
    problem.memoryLimit.reset();
    ClassResult result = eliminateByClasses(problem, kEntries, after(10),
                                            /*withMarginals=*/true);
    SolverResult expected = solveExhaustively(problem);
    if (expected.status == Status::Infeasible) {
      EXPECT_EQ(result.outcome, ClassResult::Infeasible);
      continue;
    }
    ASSERT_EQ(result.outcome, ClassResult::Solved);
    EXPECT_EQ(price(problem, result.choice).cost, expected.cost);
    auto least = leastCosts(problem);
    for (size_t i = 0; i < least.size(); ++i) {
      EXPECT_EQ(result.marginals[i][result.choice[i]], 0);
      for (size_t v = 0; v < least[i].size(); ++v, ++all) {
        WideCost true_ = least[i][v] >= kForbidden
                             ? WideCost(kForbidden)
                             : least[i][v] - expected.cost;
        EXPECT_LE(result.marginals[i][v], true_);
        exact += result.marginals[i][v] == true_;
      }
    }
  }
  EXPECT_GT(exact, all / 2);
}

TEST(ClassElimination, GivesUpOnBucketsThatAreTooLarge) {
  Problem problem = makeLayers({});
  EXPECT_EQ(eliminateByClasses(problem, 1, after(10)).outcome,
            ClassResult::GaveUp);
}

/// Parts of random problems with shared nodes between them.
Problem makeParts(uint64_t seed) {
  Random random(seed);
  Problem problem;
  unsigned count = 2 + random.below(2);
  for (unsigned part = 0; part < count; ++part) {
    Problem own = makeRandomProblem(seed * 3 + part, 20);
    auto first = static_cast<unsigned>(problem.nodes.size());
    for (Node &node : own.nodes) {
      node.memory.clear();
      problem.nodes.push_back(std::move(node));
      problem.parts.push_back(part);
    }
    for (const Edge &edge : own.edges)
      problem.edges.push_back({edge.from + first, edge.to + first, edge.costs});
  }
  auto owned = static_cast<unsigned>(problem.nodes.size());
  for (unsigned i = 0, shared = random.below(3); i < shared; ++i) {
    Node node;
    for (uint64_t v = 0, values = 1 + random.below(3); v < values; ++v)
      node.costs.push_back(random.chance(10) ? kForbidden
                                             : random.between(-2, 5));
    auto index = static_cast<unsigned>(problem.nodes.size());
    problem.nodes.push_back(std::move(node));
    problem.parts.push_back(Problem::kShared);
    for (unsigned other = 0; other < owned; ++other) {
      if (!random.chance(40))
        continue;
      std::vector<Cost> costs;
      for (size_t e = 0;
           e < problem.numValues(index) * problem.numValues(other); ++e)
        costs.push_back(random.chance(10) ? kForbidden : random.between(0, 9));
      problem.edges.push_back(
          {index, other,
           std::make_shared<const std::vector<Cost>>(std::move(costs))});
    }
  }
  return problem;
}

TEST(Parts, AgreeOnTheOptimum) {
  unsigned proven = 0, solved = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    Problem problem = makeParts(seed);
    ASSERT_EQ(problem.check(), std::nullopt);
    SolverResult expected = solveExhaustively(problem);
    SolverResult result = solve(problem);
    EXPECT_EQ(result.status, expected.status);
    if (expected.status == Status::Infeasible)
      continue;
    EXPECT_EQ(result.cost, expected.cost);
    ProblemSize size;
    std::optional<ExactResult> parts = solveParts(problem, after(10), size);
    if (!parts)
      continue;
    ++solved;
    EXPECT_LE(parts->bound, expected.cost);
    if (!parts->choice.empty())
      EXPECT_EQ(price(problem, parts->choice).cost, parts->cost);
    if (parts->proven) {
      ++proven;
      EXPECT_EQ(parts->cost, expected.cost);
    }
  }
  EXPECT_GT(proven, solved / 2);
}

TEST(Parts, AreWrittenAndRead) {
  Problem problem = makeParts(7);
  std::string error;
  std::optional<Problem> again = parseProblem(toJson(problem), error);
  ASSERT_TRUE(again) << error;
  EXPECT_EQ(again->parts, problem.parts);
}

TEST(Parts, MayNotBeJoined) {
  Problem problem;
  problem.nodes.resize(2);
  for (Node &node : problem.nodes)
    node.costs = {0};
  problem.parts = {0, 1};
  problem.edges.push_back(
      {0, 1, std::make_shared<const std::vector<Cost>>(1, 0)});
  EXPECT_EQ(problem.check(), "edge 0: joins part 0 with part 1");
  problem.parts = {0, 2};
  EXPECT_EQ(problem.check(),
            "node 1: belongs to part 2, but there are 2 nodes");
}

} // namespace
