//===- PricedParts.cpp - Memory of graphs that only classes get through ---===//

#include "PricedParts.h"
#include "Envelope.h"
#include "Mixing.h"
#include "Parts.h"
#include <algorithm>
#include <cmath>

using namespace tpc::solver;

namespace {

/// Prices that are tried.
constexpr unsigned maxPrices = 40;
/// Times at which memory is priced, and choices that are mixed.
constexpr size_t maxTimes = 8, maxMixed = 4;
/// All prices together: at first this part of what the choice costs for all of
/// the memory, then more while nothing fits.
constexpr double firstPrice = 0.1, raise = 2;
/// The lowest price above 0.
constexpr double leastPrice = 1e-3;
/// What is still to be found at a point of the envelope, as a part of its
/// height, where no other point is looked for.
constexpr double smallestGain = 1e-6;

/// What a price found.
struct Found {
  Choice choice;
  WideCost cost = 0;
  bool feasible = false;
};

class PricedSolver {
public:
  PricedSolver(const Problem &problem, Deadline deadline)
      : problem(problem), deadline(deadline) {}

  std::optional<ExactResult> run(const Choice &unlimited);

private:
  using Prices = std::vector<double>; // of a byte, by time

  /// Solves with prices; whether it could.
  bool solveAt(const Prices &prices);
  /// A choice, and a bound that it shows.
  void take(Choice choice, WideCost bound);
  EnvelopePoint bestPrices(double most) const;
  Plane planeOf(const Found &found) const;
  void offer(const Choice &choice);
  void mixBest(const Prices &prices);
  bool isProven() const {
    return !result.choice.empty() && result.cost <= result.bound;
  }

  const Problem &problem;
  Deadline deadline;
  std::vector<int64_t> times;
  std::vector<Found> all;
  ExactResult result;
};

} // namespace

void PricedSolver::offer(const Choice &choice) {
  Price offered = price(problem, choice);
  if (!offered.feasible ||
      (!result.choice.empty() && offered.cost >= result.cost))
    return;
  result.choice = choice;
  result.cost = offered.cost;
}

void PricedSolver::take(Choice choice, WideCost bound) {
  result.bound = all.empty() ? bound : std::max(result.bound, bound);
  Price found = price(problem, choice);

  if (found.feasible) {
    offer(choice);
  } else if (times.size() < maxTimes) {
    int64_t time = fullestTime(problem, choice);
    if (std::find(times.begin(), times.end(), time) == times.end())
      times.push_back(time);
  }
  all.push_back({std::move(choice), found.cost, found.feasible});
}

bool PricedSolver::solveAt(const Prices &prices) {
  Problem priced = problem;
  priced.memoryLimit.reset();
  for (Node &node : priced.nodes) {
    for (const MemoryUse &use : node.memory) {
      double byte = 0;
      for (size_t t = 0; t < prices.size(); ++t)
        if (use.live.begin <= times[t] && times[t] < use.live.end)
          byte += prices[t];
      if (byte == 0)
        continue;
      for (size_t v = 0; v < node.costs.size(); ++v)
        if (node.costs[v] < kForbidden)
          node.costs[v] += static_cast<Cost>(
              std::floor(byte * static_cast<double>(use.bytes[v])));
    }
    node.memory.clear();
  }
  ProblemSize size;
  std::optional<ExactResult> solved = solveParts(priced, deadline, size);
  if (!solved || solved->choice.empty())
    return false;
  // Prices of bytes were rounded down, that of the limit is rounded up.
  double all = 0;
  for (double byte : prices)
    all += byte;
  auto limit = static_cast<WideCost>(
      std::ceil(all * static_cast<double>(*problem.memoryLimit)));
  take(std::move(solved->choice), solved->bound - limit - (all > 0 ? 1 : 0));
  return true;
}

Plane PricedSolver::planeOf(const Found &found) const {
  Plane plane{static_cast<double>(found.cost), {}};
  for (int64_t time : times)
    plane.slopes.push_back(
        static_cast<double>(bytesAt(problem, found.choice, time)) -
        static_cast<double>(*problem.memoryLimit));
  return plane;
}

EnvelopePoint PricedSolver::bestPrices(double most) const {
  std::vector<Plane> planes;
  for (const Found &found : all)
    planes.push_back(planeOf(found));
  return highestPoint(planes, most);
}

/// Mixes the best choice with those that are cheaper but do not fit: the ones
/// that are best at these prices.
void PricedSolver::mixBest(const Prices &prices) {
  std::vector<std::pair<double, const Found *>> tooLarge;
  for (const Found &found : all) {
    if (found.feasible || found.cost >= result.cost)
      continue;
    Plane plane = planeOf(found);
    for (size_t t = 0; t < prices.size(); ++t)
      plane.constant += prices[t] * plane.slopes[t];
    tooLarge.push_back({plane.constant, &found});
  }
  std::stable_sort(
      tooLarge.begin(), tooLarge.end(),
      [](const auto &a, const auto &b) { return a.first < b.first; });
  tooLarge.resize(std::min(tooLarge.size(), maxMixed));
  for (auto [value, found] : tooLarge)
    offer(mix(problem, found->choice, result.choice));
}

std::optional<ExactResult> PricedSolver::run(const Choice &unlimited) {
  if (!unlimited.empty())
    take(unlimited, price(problem, unlimited).cost);
  else if (!solveAt({}))
    return std::nullopt;
  double most = std::max(
      leastPrice,
      firstPrice * static_cast<double>(std::max<WideCost>(result.bound, 0)) /
          static_cast<double>(std::max<int64_t>(*problem.memoryLimit, 1)));
  EnvelopePoint next;
  for (unsigned i = 0; i < maxPrices && !isProven(); ++i) {
    next = bestPrices(most);
    double all = 0;
    for (double byte : next.prices)
      all += byte;
    bool isAtMost = all >= most * (1 - 1e-6);
    double found = static_cast<double>(result.bound);
    if (next.height - found <= smallestGain * std::abs(found)) {
      if (!isAtMost)
        break;
      most *= raise;
      continue;
    }
    if (!solveAt(next.prices) || isOver(deadline))
      break;
    if (isAtMost && result.choice.empty())
      most *= raise;
  }
  if (!result.choice.empty() && !isProven())
    mixBest(next.prices);
  result.proven = isProven();
  return result;
}

std::optional<ExactResult>
tpc::solver::solvePricedParts(const Problem &problem, const Choice &unlimited,
                              Deadline deadline) {
  return PricedSolver(problem, deadline).run(unlimited);
}
