//===- Solver.cpp - Reduces, eliminates, searches -------------------------===//

#include "tpc/Sharding/Solver/Solver.h"
#include "Exact.h"
#include "Parts.h"
#include "Presolve.h"
#include "PricedParts.h"
#include "Search.h"
#include <algorithm>
#include <cstdlib>
#include <map>

using namespace tpc::solver;

double SolverResult::gap() const {
  if (choice.empty() && status != Status::Optimal)
    return 1;
  if (cost == bound)
    return 0;
  if (cost == 0)
    return 1;
  double magnitude = static_cast<double>(cost < 0 ? -cost : cost);
  return static_cast<double>(cost - bound) / magnitude;
}

namespace {

/// What all finite costs may add up to for exact elimination.
constexpr WideCost largestTotal = WideCost(1) << 55;
/// Where memory is limited, a choice this close to the bound, as a part of its
/// cost, gets a tenth of the time to be proven or improved.
constexpr double smallGap = 1e-3;

WideCost totalOf(const Problem &problem) {
  WideCost total = 0;
  auto add = [&](const std::vector<Cost> &costs) {
    Cost largest = 0;
    for (Cost cost : costs)
      if (cost < kForbidden)
        largest = std::max(largest, std::abs(cost));
    total += largest;
  };
  for (const Node &node : problem.nodes)
    add(node.costs);
  for (const Edge &edge : problem.edges)
    add(*edge.costs);
  return total;
}

/// Costs divided by 2^shift, rounded down: times 2^shift, a bound of this
/// problem is one of the original.
Problem divideCosts(const Problem &problem, unsigned shift) {
  Problem result = problem;
  auto divide = [&](std::vector<Cost> &costs) {
    for (Cost &cost : costs)
      cost = cost >= kForbidden ? kForbidden : cost >> shift;
  };
  for (Node &node : result.nodes)
    divide(node.costs);
  for (Edge &edge : result.edges) {
    std::vector<Cost> costs = *edge.costs;
    divide(costs);
    edge.costs = std::make_shared<const std::vector<Cost>>(std::move(costs));
  }
  return result;
}

/// Too large for tables; then all time goes to what is left.
bool isWide(const Problem &problem) {
  return problem.memoryLimit && !problem.parts.empty() &&
         problem.nodes.size() > 30'000;
}

/// The problem with the best choice that is known.
class Driver {
public:
  Driver(const Problem &problem, const SolverOptions &options)
      : problem(problem), begin(Clock::now()),
        deadline(after(options.timeLimit)) {
    result.before = result.after = {problem.nodes.size(), problem.numValues()};
    if (options.start.size() == problem.nodes.size())
      offer(options.start);
    if (options.unlimited.size() == problem.nodes.size())
      unlimited = options.unlimited;
  }

  SolverResult run();

private:
  void offer(const Choice &choice);
  void solveRounded(unsigned shift);
  void solveReduced(const Presolved &presolved);
  bool solveWithoutMemory();
  bool solvePriced();
  bool mayFit();

  const Problem &problem;
  Clock::time_point begin;
  Deadline deadline;
  Choice unlimited;
  bool isGoodEnough = false;
  SolverResult result;
  /// Of the parts, where they were solved.
  std::optional<WideCost> partsBound;
};

} // namespace

void Driver::offer(const Choice &choice) {
  Price offered = price(problem, choice);
  if (!offered.feasible ||
      (result.status == Status::Feasible && offered.cost >= result.cost))
    return;
  result.status = Status::Feasible;
  result.choice = choice;
  result.cost = offered.cost;
}

/// Costs that are too large to be added up in 64 bits lose their lowest digits.
void Driver::solveRounded(unsigned shift) {
  SolverOptions options;
  options.timeLimit = std::chrono::duration<double>(deadline - begin).count();
  options.start = result.choice;
  SolverResult rounded = solve(divideCosts(problem, shift), options);
  if (rounded.status == Status::Infeasible)
    result.status = Status::Infeasible;
  if (!rounded.choice.empty())
    offer(rounded.choice);
  result.bound = rounded.bound << shift;
  result.after = rounded.after;
  result.limitedBy = rounded.status == Status::Optimal ? "rounding of costs"
                                                       : rounded.limitedBy;
}

void Driver::solveReduced(const Presolved &presolved) {
  const Problem &reduced = presolved.problem;
  result.after = {reduced.nodes.size(), reduced.numValues()};
  Choice start;
  if (!result.choice.empty()) {
    start = presolved.reduce(result.choice);
    if (!price(reduced, start).feasible)
      start.clear();
  }
  // Where that does not succeed, the search gets as much time.
  Deadline half = Clock::now() + (deadline - Clock::now()) / 2;
  ExactResult exact = solveExactly(reduced, start, half);
  result.bound = presolved.constant + exact.bound;
  if (!exact.choice.empty() || reduced.nodes.empty())
    offer(presolved.expand(exact.choice));
  if (exact.proven) {
    if (result.status != Status::Feasible)
      result.status = Status::Infeasible;
    return;
  }
  if (!exact.choice.empty())
    start = exact.choice;
  SearchResult found = search(reduced, start, deadline);
  result.bound = std::max(result.bound, presolved.constant + found.bound);
  if (!found.choice.empty())
    offer(presolved.expand(found.choice));
}

/// By prices of memory; whether the choice is proven. The parts of a model are
/// narrow over classes where the tables are not. Where what is found is good
/// enough, little time is left to the others.
bool Driver::solvePriced() {
  auto left = deadline - Clock::now();
  auto priced = solvePricedParts(
      problem, unlimited, Clock::now() + left * (isWide(problem) ? 3 : 2) / 4);
  if (!priced)
    return false;
  partsBound = priced->bound;
  if (priced->choice.empty())
    return false;
  offer(priced->choice);
  auto distance = static_cast<double>(result.cost - priced->bound);
  if (distance <= smallGap * static_cast<double>(result.cost)) {
    deadline = std::max(Clock::now(), begin + (deadline - begin) / 10);
    isGoodEnough = true;
  }
  return priced->proven;
}

bool Driver::solveWithoutMemory() {
  ProblemSize size;
  std::optional<ExactResult> exact = solveParts(problem, deadline, size);
  if (!exact)
    return false;
  if (!exact->choice.empty())
    offer(exact->choice);
  partsBound = exact->bound;
  if (!exact->proven)
    return false;
  result.bound = exact->bound;
  result.after = size;
  return true;
}

/// Finds a choice to start from, where there are costs that make it harder to
/// find one than to find out whether there is any.
bool Driver::mayFit() {
  if (!problem.memoryLimit || isWide(problem) || totalOf(problem) == 0 ||
      result.status == Status::Feasible)
    return true;
  std::chrono::duration<double> left = deadline - Clock::now();
  SolverResult fitting = findFeasible(problem, left.count() / 4);
  if (!fitting.choice.empty())
    offer(fitting.choice);
  if (fitting.status == Status::Infeasible)
    result.status = Status::Infeasible;
  return result.status != Status::Infeasible;
}

SolverResult Driver::run() {
  unsigned shift = 0;
  while (totalOf(problem) >> shift >= largestTotal)
    ++shift;
  if (shift != 0) {
    solveRounded(shift);
  } else if (!problem.memoryLimit && solveWithoutMemory()) {
    // Proven.
  } else if (problem.memoryLimit && !problem.parts.empty() && solvePriced()) {
    // Proven.
  } else if (mayFit()) {
    Presolved presolved = presolve(problem, deadline);
    if (presolved.infeasible)
      result.status = Status::Infeasible;
    else
      solveReduced(presolved);
  }
  if (partsBound)
    result.bound = std::max(result.bound, *partsBound);
  // More than any choice costs: prices of memory have no end.
  if (result.status == Status::Unknown && shift == 0 &&
      result.bound > totalOf(problem))
    result.status = Status::Infeasible;
  if (result.status == Status::Feasible && result.bound >= result.cost) {
    result.status = Status::Optimal;
    result.bound = result.cost;
  }
  if (result.status == Status::Optimal)
    result.limitedBy = "optimality";
  else if (result.status == Status::Infeasible)
    result.limitedBy = "infeasibility";
  else if (result.limitedBy.empty())
    result.limitedBy = isGoodEnough ? "a small gap" : "time limit";
  result.seconds = secondsSince(begin);
  return std::move(result);
}

/// Every choice that is not forbidden costs nothing.
static Problem withoutCosts(Problem problem) {
  auto strip = [](std::vector<Cost> costs) {
    for (Cost &cost : costs)
      cost = cost < kForbidden ? 0 : kForbidden;
    return costs;
  };
  std::map<const std::vector<Cost> *, CostTable> stripped;
  for (Node &node : problem.nodes)
    node.costs = strip(std::move(node.costs));
  for (Edge &edge : problem.edges) {
    CostTable &table = stripped[edge.costs.get()];
    if (!table)
      table = std::make_shared<std::vector<Cost>>(strip(*edge.costs));
    edge.costs = table;
  }
  return problem;
}

SolverResult tpc::solver::findFeasible(const Problem &problem,
                                       double timeLimit) {
  SolverOptions options;
  options.timeLimit = timeLimit;
  return solve(withoutCosts(problem), options);
}

SolverResult tpc::solver::solve(const Problem &problem,
                                const SolverOptions &options) {
  return Driver(problem, options).run();
}
