//===- BranchAndBound.cpp - Closes what is left ---------------------------===//

#include "BranchAndBound.h"
#include <algorithm>

using namespace tpc::solver;

/// Steps of the ascent after which a node is judged, and how often at most.
static constexpr unsigned kSteps = 20, kJudgements = 10;
/// Splits that are tried, and steps of the ascent for each.
static constexpr unsigned kTried = 6, kTrialSteps = 6;

WideCost BranchAndBound::bound() const {
  WideCost least = target;
  for (const PriceAscent &state : open)
    least = std::min(least, state.bound());
  return least;
}

void BranchAndBound::run(size_t budget, Deadline deadline) {
  size_t end = work + budget;
  while (!open.empty() && work < end && !isOver(deadline))
    expand(deadline);
}

/// Raises the bound of a node while that goes well; false if nothing is left.
bool BranchAndBound::tighten(PriceAscent &state, Deadline deadline) {
  state.setTarget(target);
  for (unsigned k = 0; k < kJudgements; ++k) {
    WideCost before = state.bound();
    work += state.run(kSteps, deadline);
    state.fix();
    if (state.closed())
      return false;
    if ((state.bound() - before) * 20 < target - state.bound())
      break;
  }
  return true;
}

/// The most promising first.
std::vector<BranchAndBound::Split>
BranchAndBound::findSplits(const PriceAscent &state) const {
  std::vector<Split> splits;
  const Bound &bound = state.messages();
  for (unsigned i = 0; i < flat.numNodes(); ++i) {
    const double *share = state.shares(i);
    const double *price = bound.costsWithMemory(i);
    const double *own = bound.ownCosts(i);
    double mean = 0, most = 0;
    unsigned count = 0, top = 0;
    for (unsigned v = 0; v < flat.numValues[i]; ++v) {
      if (bound.isForbidden(i, v))
        continue;
      ++count;
      mean += share[v] * (price[v] - own[v]);
      if (share[v] > most) {
        most = share[v];
        top = v;
      }
    }
    if (count < 2)
      continue;
    Split split{i, std::vector<bool>(flat.numValues[i]), 0};
    double shareLow = 0, low = 0, high = 0;
    for (unsigned v = 0; v < flat.numValues[i]; ++v) {
      if (bound.isForbidden(i, v))
        continue;
      double paid = price[v] - own[v];
      split.low[v] = paid <= mean;
      (split.low[v] ? low : high) += share[v] * paid;
      shareLow += split.low[v] ? share[v] : 0;
    }
    double shareHigh = 1 - shareLow;
    if (shareLow > 0.02 && shareHigh > 0.02) {
      split.score = std::min(shareLow, shareHigh) *
                    (1 + high / shareHigh - low / shareLow);
    } else {
      // Memory does not tell the values apart.
      for (unsigned v = 0; v < flat.numValues[i]; ++v)
        split.low[v] = v == top;
      split.score = 1 - most;
    }
    splits.push_back(std::move(split));
  }
  std::sort(splits.begin(), splits.end(), [](const Split &a, const Split &b) {
    return std::pair(b.score, a.node) < std::pair(a.score, b.node);
  });
  if (splits.size() > kTried)
    splits.resize(kTried);
  return splits;
}

PriceAscent BranchAndBound::branch(const PriceAscent &state, const Split &split,
                                   bool low) {
  PriceAscent child = state;
  for (unsigned v = 0; v < split.low.size(); ++v)
    if (split.low[v] != low)
      child.forbid(split.node, v);
  child.restart();
  return child;
}

void BranchAndBound::expand(Deadline deadline) {
  PriceAscent state = std::move(open.back());
  open.pop_back();
  ++nodes;
  if (state.bound() >= target || !tighten(state, deadline))
    return;
  rounded = state.round();
  std::vector<Split> splits = findSplits(state);
  if (splits.empty()) {
    // One choice is left, and it is not better: memory forbids it, or its cost
    // is the bound.
    return;
  }
  std::optional<std::pair<PriceAscent, PriceAscent>> best;
  double bestScore = -1;
  for (const Split &split : splits) {
    std::pair<PriceAscent, PriceAscent> children{branch(state, split, true),
                                                 branch(state, split, false)};
    work += children.first.run(kTrialSteps, deadline);
    work += children.second.run(kTrialSteps, deadline);
    double gap = double(int64_t(target - state.bound()));
    auto rise = [&](const PriceAscent &child) {
      return std::clamp(double(int64_t(child.bound() - state.bound())) / gap,
                        1e-6, 1.0);
    };
    double score = rise(children.first) * rise(children.second);
    if (score > bestScore) {
      bestScore = score;
      best = std::move(children);
    }
  }
  // The branch with the lower bound is more likely to hold what is sought.
  if (best->first.bound() < best->second.bound())
    std::swap(best->first, best->second);
  for (PriceAscent *child : {&best->first, &best->second})
    if (child->bound() < target)
      open.push_back(std::move(*child));
}
