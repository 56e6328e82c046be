//===- Exact.cpp - Proofs by elimination ----------------------------------===//

#include "Exact.h"
#include "LabelElimination.h"
#include "Presolve.h"
#include <algorithm>

using namespace tpc::solver;

namespace {

/// Buckets with more entries are left to the search. Where memory is limited,
/// each is gone through many times.
size_t maxEntries(const Problem &problem) {
  return problem.memoryLimit ? size_t(1) << 21 : size_t(1) << 24;
}
/// Labels that one elimination may make.
constexpr size_t maxLabels = 200'000'000;
/// Labels by entry that are kept to find a good choice.
constexpr size_t beamWidth = 4;
/// Labels after which that is worth while.
constexpr size_t manyLabels = 1'000'000;
/// Eliminations to find prices: for the whole problem, and for what a limit
/// leaves of it.
constexpr unsigned firstSteps = 80, laterSteps = 40;

class ExactSolver {
public:
  explicit ExactSolver(Deadline deadline)
      : deadline(deadline), until(deadline) {}
  ExactResult solve(const Problem &problem, const Choice &start);

private:
  LabelOutcome solveWithin(const Problem &problem, WideCost limit, size_t beam,
                           Choice &choice);
  LabelOutcome solveFiltered(const Problem &filtered, WideCost limit,
                             size_t beam, Choice &choice);
  Problem filter(const Problem &problem, const Pricing &pricing, WideCost limit,
                 size_t &removed) const;

  Deadline deadline;
  /// For what is going on.
  Deadline until;
  size_t labelsMade = 0;
};

} // namespace

/// Of what is not forbidden.
static Cost largestCost(const std::vector<Cost> &costs) {
  Cost largest = 0;
  for (Cost cost : costs)
    if (cost < kForbidden)
      largest = std::max(largest, cost);
  return largest;
}

/// Forbids the values that no choice of at most `limit` uses.
Problem ExactSolver::filter(const Problem &problem, const Pricing &pricing,
                            WideCost limit, size_t &removed) const {
  Problem result = problem;
  WideCost margin = pricing.margin(limit);
  removed = 0;
  for (unsigned node = 0; node < problem.nodes.size(); ++node) {
    const std::vector<Cost> &over = pricing.elimination().marginal(node);
    for (size_t v = 0; v < over.size(); ++v)
      if (over[v] > margin && result.nodes[node].costs[v] < kForbidden) {
        result.nodes[node].costs[v] = kForbidden;
        ++removed;
      }
  }
  return result;
}

LabelOutcome ExactSolver::solveFiltered(const Problem &filtered, WideCost limit,
                                        size_t beam, Choice &choice) {
  Presolved presolved = presolve(filtered, until);
  if (presolved.infeasible)
    return LabelOutcome::None;
  LabelOutcome outcome =
      solveWithin(presolved.problem, limit - presolved.constant, beam, choice);
  if (outcome == LabelOutcome::Found)
    choice = presolved.expand(choice);
  return outcome;
}

/// The cheapest choice that costs at most `limit`; with a beam, some choice.
LabelOutcome ExactSolver::solveWithin(const Problem &problem, WideCost limit,
                                      size_t beam, Choice &choice) {
  if (limit < 0)
    return LabelOutcome::None;
  if (problem.nodes.empty()) {
    choice.clear();
    return LabelOutcome::Found;
  }
  auto tree = EliminationTree::build(problem, maxEntries(problem));
  if (!tree)
    return LabelOutcome::GaveUp;
  TableOps tables;
  Pricing pricing(problem, *tree, tables);
  if (!pricing.ascend(laterSteps, limit, until))
    return LabelOutcome::GaveUp;
  if (pricing.bound() > limit)
    return LabelOutcome::None;
  bool known = !pricing.choice().empty() && pricing.choiceCost() <= limit;
  if (known) {
    choice = pricing.choice();
    limit = pricing.choiceCost() - 1;
    if (pricing.bound() > limit)
      return LabelOutcome::Found;
  }
  if (!pricing.prepareMargins(until))
    return LabelOutcome::GaveUp;
  size_t removed;
  Problem filtered = filter(problem, pricing, limit, removed);
  Choice better;
  LabelOutcome outcome = 20 * removed >= problem.numValues()
                             ? solveFiltered(filtered, limit, beam, better)
                             : eliminateWithLabels(problem, *tree, pricing,
                                                   {limit, maxLabels, beam},
                                                   until, better, labelsMade);
  if (outcome == LabelOutcome::Found)
    choice = better;
  else if (outcome == LabelOutcome::None && known)
    return LabelOutcome::Found;
  return outcome;
}

ExactResult ExactSolver::solve(const Problem &problem, const Choice &start) {
  ExactResult result;
  auto offer = [&](const Choice &choice) {
    Price offered = price(problem, choice);
    if (offered.feasible &&
        (result.choice.empty() || offered.cost < result.cost)) {
      result.choice = choice;
      result.cost = offered.cost;
    }
  };
  if (problem.nodes.empty()) {
    result.proven = true;
    return result;
  }
  if (!start.empty())
    offer(start);
  auto tree = EliminationTree::build(problem, maxEntries(problem));
  if (!tree)
    return result;
  TableOps tables;
  Pricing pricing(problem, *tree, tables);
  // The bound itself is never enough: what is above any choice is.
  WideCost most = 0;
  for (const Node &node : problem.nodes)
    most += largestCost(node.costs);
  for (const Edge &edge : problem.edges)
    most += largestCost(*edge.costs);
  if (!pricing.ascend(firstSteps, most, deadline))
    return result;
  result.bound = pricing.bound();
  if (!pricing.choice().empty())
    offer(pricing.choice());
  result.proven = result.bound > most ||
                  (!result.choice.empty() && result.bound >= result.cost);
  if (result.proven || !pricing.prepareMargins(deadline))
    return result;
  // The first limit leaves few nodes a choice; each further one about twice as
  // many values as the one before.
  std::vector<Cost> over;
  for (unsigned node = 0; node < problem.nodes.size(); ++node)
    for (Cost cost : pricing.elimination().marginal(node))
      if (cost > 0 && cost < kForbidden)
        over.push_back(cost);
  std::sort(over.begin(), over.end());
  auto tryLimit = [&](WideCost limit, size_t beam, Choice &choice) {
    size_t removed;
    Problem filtered = filter(problem, pricing, limit, removed);
    return solveFiltered(filtered, limit, beam, choice);
  };
  // A quarter of the time is left for a good choice where proofs fail.
  until = Clock::now() + (deadline - Clock::now()) / 4 * 3;
  const WideCost lowest = result.bound;
  bool searched = false;
  for (size_t left = problem.nodes.size() / 4 + 16;; left *= 2) {
    WideCost limit = left < over.size() ? pricing.costAt(over[left]) : most;
    // Work grows exponentially with the distance from the bound, so that of the
    // last limit counts: it should not be much too high.
    WideCost raised = result.bound - lowest;
    if (raised > 0)
      limit = std::min(limit,
                       result.bound +
                           (labelsMade > manyLabels ? raised / 2 : 2 * raised));
    limit = std::clamp(limit, result.bound, most);
    Choice choice;
    // Where limits get expensive, a good choice tells how high they need be.
    if (labelsMade > manyLabels && !searched &&
        tryLimit(std::min(most, limit + limit - lowest), beamWidth, choice) ==
            LabelOutcome::Found) {
      offer(choice);
      searched = true;
    }
    if (!result.choice.empty())
      limit = std::min(limit, result.cost - 1);
    if (result.bound > limit) {
      result.proven = true;
      return result;
    }
    LabelOutcome outcome = tryLimit(limit, 0, choice);
    if (outcome == LabelOutcome::GaveUp) {
      until = deadline;
      for (WideCost above = std::max<WideCost>(1, limit - lowest);
           !searched && above < most && !isOver(deadline); above *= 2)
        if (tryLimit(std::min(most, lowest + 2 * above), beamWidth, choice) ==
            LabelOutcome::Found) {
          offer(choice);
          searched = true;
        }
      return result;
    }
    if (outcome == LabelOutcome::Found) {
      offer(choice);
      result.bound = result.cost;
    } else {
      result.bound = limit + 1;
    }
    result.proven = result.bound > most || outcome == LabelOutcome::Found ||
                    (!result.choice.empty() && result.bound >= result.cost);
    if (result.proven)
      return result;
  }
}

ExactResult tpc::solver::solveExactly(const Problem &problem,
                                      const Choice &start, Deadline deadline) {
  return ExactSolver(deadline).solve(problem, start);
}
