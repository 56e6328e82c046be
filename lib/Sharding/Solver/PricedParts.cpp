//===- PricedParts.cpp - Memory of graphs that only classes get through ---===//

#include "PricedParts.h"
#include "Parts.h"
#include <algorithm>
#include <cmath>
#include <map>

using namespace tpc::solver;

namespace {

/// Prices that are tried after the first that fits.
constexpr unsigned bisections = 10;

/// When most memory is in use.
int64_t fullestTime(const Problem &problem, const Choice &choice) {
  std::map<int64_t, int64_t> change;
  for (size_t i = 0; i < choice.size(); ++i)
    for (const MemoryUse &use : problem.nodes[i].memory)
      if (use.live.begin < use.live.end) {
        change[use.live.begin] += use.bytes[choice[i]];
        change[use.live.end] -= use.bytes[choice[i]];
      }
  int64_t inUse = 0, most = INT64_MIN, time = 0;
  for (const auto &[at, bytes] : change)
    if ((inUse += bytes) > most) {
      most = inUse;
      time = at;
    }
  return time;
}

class PricedSolver {
public:
  PricedSolver(const Problem &problem, Deadline deadline)
      : problem(problem), deadline(deadline) {}

  std::optional<ExactResult> run();

private:
  /// Solves with a price of `price` a byte, shared by the times. Whether the
  /// choice fits; nothing if it cannot be solved.
  std::optional<bool> solveAt(double price);

  const Problem &problem;
  Deadline deadline;
  /// The times at which memory is priced.
  std::vector<int64_t> times;
  ExactResult result;
  bool hasBound = false;
};

} // namespace

std::optional<bool> PricedSolver::solveAt(double price_) {
  Problem priced = problem;
  priced.memoryLimit.reset();
  double share = times.empty() ? 0 : price_ / static_cast<double>(times.size());
  for (Node &node : priced.nodes) {
    for (const MemoryUse &use : node.memory)
      for (int64_t time : times)
        if (use.live.begin <= time && time < use.live.end)
          for (size_t v = 0; v < node.costs.size(); ++v)
            if (node.costs[v] < kForbidden)
              node.costs[v] += static_cast<Cost>(
                  std::floor(share * static_cast<double>(use.bytes[v])));
    node.memory.clear();
  }
  ProblemSize size;
  std::optional<ExactResult> solved = solveParts(priced, deadline, size);
  if (!solved || solved->choice.empty())
    return std::nullopt;
  // Prices of bytes were rounded down, that of the limit is rounded up.
  auto limit = static_cast<WideCost>(
      std::ceil(price_ * static_cast<double>(*problem.memoryLimit)) + 1);
  WideCost bound = solved->bound - (times.empty() ? 0 : limit);
  if (!hasBound || bound > result.bound)
    result.bound = bound;
  hasBound = true;
  Price found = price(problem, solved->choice);
  if (found.feasible) {
    if (result.choice.empty() || found.cost < result.cost) {
      result.choice = std::move(solved->choice);
      result.cost = found.cost;
    }
    return true;
  }
  int64_t time = fullestTime(problem, solved->choice);
  if (std::find(times.begin(), times.end(), time) == times.end() &&
      times.size() < 4)
    times.push_back(time);
  return false;
}

std::optional<ExactResult> PricedSolver::run() {
  std::optional<bool> fits = solveAt(0);
  if (!fits)
    return std::nullopt;
  if (*fits) {
    result.proven = result.cost <= result.bound;
    return result;
  }
  double low = 0, high = 0;
  double price =
      1e-4 * static_cast<double>(std::max<WideCost>(result.bound, 1)) /
      static_cast<double>(std::max<int64_t>(*problem.memoryLimit, 1));
  for (unsigned i = 0; i < 24 && high == 0; ++i, price *= 10) {
    fits = solveAt(price);
    if (!fits || isOver(deadline))
      return result;
    (*fits ? high : low) = price;
  }
  for (unsigned i = 0; i < bisections && high != 0; ++i) {
    price = low == 0 ? high / 10 : std::sqrt(low * high);
    fits = solveAt(price);
    if (!fits || isOver(deadline))
      return result;
    (*fits ? high : low) = price;
  }
  result.proven = !result.choice.empty() && result.cost <= result.bound;
  return result;
}

std::optional<ExactResult> tpc::solver::solvePricedParts(const Problem &problem,
                                                         Deadline deadline) {
  return PricedSolver(problem, deadline).run();
}
