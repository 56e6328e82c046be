//===- PriceAscent.cpp - Finds the prices of memory -----------------------===//

#include "PriceAscent.h"
#include <algorithm>

using namespace tpc::solver;

/// Steps at the beginning that leave the prices as they are.
static constexpr unsigned kFirstSteps = 10;
/// The weight of the last choice in the averaged slope falls with the steps,
/// at the root; a branch takes few steps.
static constexpr double kFirstWeight = 0.1, kLeastWeight = 0.02;
/// The weight of the past in what is known of values.
static constexpr double kMemoryOfValues = 0.95;
/// The length of a step after values were forbidden.
static constexpr double kRestartLength = 0.05;
/// Falling behind the best bound by this part of the gap undoes all steps
/// since.
static constexpr double kTooFar = 0.05;
/// An improvement by less than this part of the gap is none.
static constexpr double kNoticeable = 1e-4;
/// Steps without an improvement until they become shorter.
static constexpr unsigned kPatience = 20;

PriceAscent::PriceAscent(const FlatProblem &problem)
    : flat(&problem), relaxation(problem), current(flat->memory.numRows(), 0.0),
      bestPrices(current), slope(current), fresh(current.size() + 1, 0.0),
      taken(flat->unary.size(), 0.0), bestBound(flat->constant),
      leastWeight(kLeastWeight) {}

size_t PriceAscent::run(size_t count, Deadline deadline) {
  size_t done = 0;
  for (; done < count && !closed() && !isOver(deadline); ++done)
    step();
  return done * workOfStep();
}

void PriceAscent::restart() {
  stepLength = kRestartLength;
  steps = kFirstSteps;
  leastWeight = kFirstWeight;
  stale = 0;
  current = bestPrices;
}

double PriceAscent::passes() {
  relaxation.setPrices(current);
  relaxation.pass(/*forward=*/true);
  WideCost bound = relaxation.pass(/*forward=*/false);
  // Values up to here are exact as doubles.
  constexpr WideCost limit = WideCost(1) << 52;
  return double(int64_t(std::clamp(bound - flat->constant, -limit, limit)));
}

void PriceAscent::step() {
  double bound = passes();
  double best = double(int64_t(bestBound - flat->constant));
  double gap =
      target ? double(int64_t(*target - flat->constant)) - best : 0.05 * best;
  gap = std::max(gap, 1.0);
  if (bound > best) {
    if (bound > best + kNoticeable * gap) {
      stale = 0;
      stepLength = std::min(stepLength * 1.02, 1.0);
    }
    bestBound = flat->constant + int64_t(bound);
    bestPrices = relaxation.prices();
  }
  if (++steps <= kFirstSteps || current.empty())
    return;
  if (bound < best - kTooFar * gap) {
    current = bestPrices;
    stepLength *= 0.7;
    stale = 0;
    std::fill(slope.begin(), slope.end(), 0.0);
    return;
  }
  if (++stale > kPatience) {
    stepLength *= 0.8;
    stale = 0;
  }
  averageSlope();
  move(best + gap - bound);
}

void PriceAscent::averageSlope() {
  const CapacityRows &memory = flat->memory;
  const Choice &choice = relaxation.argmin();
  std::fill(fresh.begin(), fresh.end(), 0.0);
  for (double &share : taken)
    share *= kMemoryOfValues;
  for (unsigned i = 0; i < flat->numNodes(); ++i)
    taken[flat->begin[i] + choice[i]] += 1 - kMemoryOfValues;
  for (unsigned i = 0; i < flat->numNodes(); ++i)
    for (unsigned u = memory.useBegin[i]; u < memory.useBegin[i + 1]; ++u) {
      const CapacityRows::Use &use = memory.uses[u];
      double bytes = double(memory.excess[use.bytes + choice[i]]);
      fresh[use.firstRow] += bytes;
      fresh[use.endRow] -= bytes;
    }
  double weight = std::max(leastWeight, kFirstWeight * 100 / (100 + steps));
  double inUse = 0;
  for (size_t r = 0; r < slope.size(); ++r) {
    inUse += fresh[r];
    slope[r] += weight * (inUse - double(memory.capacity[r]) - slope[r]);
  }
}

void PriceAscent::move(double distance) {
  double square = 0;
  for (size_t r = 0; r < slope.size(); ++r)
    if (current[r] > 0 || slope[r] > 0)
      square += slope[r] * slope[r];
  if (square == 0)
    return;
  double length = stepLength * distance / square;
  for (size_t r = 0; r < slope.size(); ++r)
    current[r] = std::max(0.0, current[r] + length * slope[r]);
}

Choice PriceAscent::round() {
  current = bestPrices;
  passes();
  return relaxation.round();
}

size_t PriceAscent::fix() {
  if (!target)
    return 0;
  relaxation.setPrices(bestPrices);
  relaxation.pass(/*forward=*/true);
  WideCost bound = relaxation.pass(/*forward=*/false);
  bestBound = std::max(bestBound, bound);
  return relaxation.fix(bound, *target - 1);
}
