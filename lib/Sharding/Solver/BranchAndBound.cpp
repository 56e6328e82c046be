//===- BranchAndBound.cpp - Closes what is left ---------------------------===//

#include "BranchAndBound.h"
#include <algorithm>

using namespace tpc::solver;

/// Steps of the ascent after which a node is judged, and how often at most.
static constexpr unsigned kSteps = 20, kJudgements = 10;
/// Splits that are tried, and steps of the ascent for each.
static constexpr unsigned kTried = 6, kTrialSteps = 6;
/// Bytes that open nodes may take before the last one is next.
static constexpr size_t kMostMemory = size_t(1) << 30;
/// A split in which one side is taken less often than this is none.
static constexpr double kLeastShare = 0.02;

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

void BranchAndBound::offer(const Choice &choice) {
  rounded = choice;
  Price priced = price(problem, choice);
  if (!priced.feasible || flat.target(priced.cost) >= target)
    return;
  better = choice;
  target = flat.target(priced.cost);
}

PriceAscent BranchAndBound::takeNext() {
  if (open.size() * open.back().bytes() < kMostMemory)
    std::iter_swap(
        std::min_element(open.begin(), open.end(),
                         [](const PriceAscent &a, const PriceAscent &b) {
                           return a.bound() < b.bound();
                         }),
        std::prev(open.end()));
  PriceAscent state = std::move(open.back());
  open.pop_back();
  return state;
}

/// Raises the bound of a node while that goes well; false if nothing of
/// interest is left.
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

std::optional<BranchAndBound::Split>
BranchAndBound::splitNode(const PriceAscent &state, unsigned node) const {
  const Bound &bound = state.messages();
  const double *share = state.shares(node);
  unsigned count = 0, top = 0;
  std::vector<double> paid(flat.numValues[node]); // for memory
  double mean = 0, total = 0;
  for (unsigned v = 0; v < paid.size(); ++v) {
    if (bound.isForbidden(node, v))
      continue;
    paid[v] = bound.costsWithMemory(node)[v] - bound.ownCosts(node)[v];
    mean += share[v] * paid[v];
    total += share[v];
    if (count++ == 0 || share[v] > share[top])
      top = v;
  }
  if (count < 2)
    return std::nullopt;
  Split split{node, std::vector<bool>(paid.size()), 0};
  total = std::max(total, 1e-9);
  mean /= total;
  double shareLow = 0, low = 0, shareHigh = 0, high = 0;
  for (unsigned v = 0; v < paid.size(); ++v) {
    if (bound.isForbidden(node, v))
      continue;
    split.low[v] = paid[v] <= mean;
    (split.low[v] ? shareLow : shareHigh) += share[v] / total;
    (split.low[v] ? low : high) += share[v] / total * paid[v];
  }
  if (std::min(shareLow, shareHigh) > kLeastShare) {
    split.score =
        std::min(shareLow, shareHigh) * (1 + high / shareHigh - low / shareLow);
    return split;
  }
  // Memory does not tell the values apart that are taken.
  for (unsigned v = 0; v < paid.size(); ++v)
    split.low[v] = v == top;
  split.score = 1 - share[top] / total;
  return split;
}

/// The most promising first.
std::vector<BranchAndBound::Split>
BranchAndBound::findSplits(const PriceAscent &state) const {
  std::vector<Split> splits;
  for (unsigned i = 0; i < flat.numNodes(); ++i)
    if (std::optional<Split> split = splitNode(state, i))
      splits.push_back(std::move(*split));
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
  PriceAscent state = takeNext();
  if (state.bound() >= target || !tighten(state, deadline))
    return;
  offer(state.round());
  // Without a split one choice is left, and that was offered.
  std::optional<std::pair<PriceAscent, PriceAscent>> best;
  double bestScore = -1;
  for (const Split &split : findSplits(state)) {
    std::pair<PriceAscent, PriceAscent> children{branch(state, split, true),
                                                 branch(state, split, false)};
    double gap = double(int64_t(target - state.bound()));
    double score = 1;
    for (PriceAscent *child : {&children.first, &children.second}) {
      work += child->run(kTrialSteps, deadline);
      double rise = double(int64_t(child->bound() - state.bound())) / gap;
      score *= std::clamp(rise, 1e-6, 1.0);
    }
    if (score > bestScore) {
      bestScore = score;
      best = std::move(children);
    }
  }
  if (!best)
    return;
  // What is more likely to hold what is sought comes last.
  if (best->first.bound() < best->second.bound())
    std::swap(best->first, best->second);
  for (PriceAscent *child : {&best->first, &best->second})
    if (child->bound() < target)
      open.push_back(std::move(*child));
}
