//===- Pricing.cpp - Memory as a cost -------------------------------------===//

#include "Pricing.h"
#include <algorithm>
#include <cmath>

using namespace tpc::solver;

/// The priced problem's costs stay below this.
static constexpr WideCost largestSum = WideCost(1) << 57;

Pricing::Pricing(const Problem &problem, const EliminationTree &tree,
                 TableOps &tables)
    : problem(problem), tree(tree), rows(problem, tables) {
  rows.dropRows();
  WideCost sum = 1;
  auto most = [](const std::vector<Cost> &costs) {
    Cost result = 0;
    for (Cost cost : costs)
      if (cost < kForbidden)
        result = std::max(result, cost);
    return result;
  };
  for (const Node &node : problem.nodes)
    sum += most(node.costs);
  for (const Edge &edge : problem.edges)
    sum += most(*edge.costs);
  // Half for the costs, the rest for the prices of memory.
  while (rows.count() != 0 && 4 * scale * sum < largestSum &&
         scale < WideCost(1) << 24)
    scale *= 2;
  auto scaled = [&](const std::vector<Cost> &costs) {
    std::vector<Cost> result;
    for (Cost cost : costs)
      result.push_back(cost >= kForbidden ? kForbidden
                                          : cost * static_cast<Cost>(scale));
    return result;
  };
  for (const Node &node : problem.nodes)
    nodeCosts.push_back(scaled(node.costs));
  std::unordered_map<const void *, CostTable> scaledTables;
  std::vector<CostTable> edges;
  for (const Edge &edge : problem.edges) {
    CostTable &table = scaledTables[edge.costs.get()];
    if (!table)
      table = std::make_shared<const std::vector<Cost>>(scaled(*edge.costs));
    edges.push_back(table);
  }
  edgeCosts = std::make_shared<const std::vector<CostTable>>(std::move(edges));
}

WideCost Pricing::bound() const {
  if (best.value >= kForbidden)
    return kForbidden;
  // Rounded up: costs are integers.
  WideCost quotient = best.value / scale;
  return quotient + (best.value > quotient * scale);
}

std::optional<EliminationCosts> Pricing::priced(const Prices &prices) const {
  std::vector<WideCost> before(prices.size() + 1, 0); // sum of prices below
  for (size_t row = 0; row < prices.size(); ++row)
    before[row + 1] = before[row] + prices[row];
  EliminationCosts costs;
  costs.edges = edgeCosts;
  VectorPool pool;
  WideCost sum = 0;
  for (unsigned node = 0; node < nodeCosts.size(); ++node) {
    std::vector<Cost> result = nodeCosts[node];
    WideCost most = 0;
    for (size_t v = 0; v < result.size(); ++v) {
      WideCost added = 0;
      for (const Segment &segment : rows.of(node))
        added +=
            (before[segment.end] - before[segment.begin]) * (*segment.bytes)[v];
      if (added >= largestSum)
        return std::nullopt;
      most = std::max(most, added);
      if (result[v] < kForbidden)
        result[v] += static_cast<Cost>(added);
    }
    sum += most;
    if (sum >= largestSum)
      return std::nullopt;
    costs.nodes.push_back(pool.intern(std::move(result)));
  }
  return costs;
}

std::optional<Pricing::Point> Pricing::evaluate(Prices prices) {
  if (stepsLeft == 0)
    return std::nullopt;
  --stepsLeft;
  std::optional<EliminationCosts> costs = priced(prices);
  if (!costs)
    return std::nullopt;
  Point point;
  point.elimination = std::make_shared<Elimination>(tree, std::move(*costs));
  if (!point.elimination->run(until))
    return std::nullopt;
  point.value = point.elimination->minimum();
  point.prices = std::move(prices);
  if (point.value >= kForbidden)
    return point;
  Choice choice = point.elimination->choice();
  std::vector<WideCost> change(rows.count() + 1, 0);
  for (unsigned node = 0; node < choice.size(); ++node)
    for (const Segment &segment : rows.of(node)) {
      change[segment.begin] += (*segment.bytes)[choice[node]];
      change[segment.end] -= (*segment.bytes)[choice[node]];
    }
  WideCost inUse = 0;
  bool feasible = true;
  for (size_t row = 0; row < rows.count(); ++row) {
    inUse += change[row];
    point.excess.push_back(inUse - rows.slackOf(row));
    point.value -= point.prices[row] * rows.slackOf(row);
    feasible &= point.excess.back() <= 0;
  }
  if (feasible)
    remember(choice);
  return point;
}

void Pricing::remember(const Choice &choice) {
  Price result = price(problem, choice);
  if (result.feasible && (found.empty() || result.cost < foundCost)) {
    found = choice;
    foundCost = result.cost;
  }
}

bool Pricing::accept(Point &&point) {
  if (point.value <= best.value)
    return false;
  best = std::move(point);
  return true;
}

bool Pricing::isDone() const {
  return stepsLeft == 0 || best.value >= kForbidden || bound() > enoughBound ||
         (!found.empty() && bound() >= foundCost);
}

bool Pricing::searchRow(size_t row) {
  // The value is concave in one price: lines at a point where the row is
  // violated and at one where it is not bound it from above, and the next
  // point is where they meet.
  Point low = best, high;
  WideCost from = best.value;
  int64_t step = std::max<int64_t>(1, low.prices[row]);
  for (;; step *= 4) {
    Prices prices = low.prices;
    if (step > INT64_MAX / 8 || prices[row] > INT64_MAX - step)
      return best.value > from;
    prices[row] += step;
    std::optional<Point> point = evaluate(std::move(prices));
    if (!point)
      return best.value > from;
    bool kept = point->excess[row] <= 0;
    (kept ? high : low) = *point;
    accept(std::move(*point));
    if (kept)
      break;
  }
  while (high.prices[row] - low.prices[row] > 1) {
    WideCost slopes = low.excess[row] - high.excess[row];
    WideCost meet = (high.value - high.excess[row] * high.prices[row] -
                     low.value + low.excess[row] * low.prices[row]) /
                    slopes;
    meet =
        std::clamp<WideCost>(meet, low.prices[row] + 1, high.prices[row] - 1);
    WideCost line = low.value + low.excess[row] * (meet - low.prices[row]);
    Prices prices = low.prices;
    prices[row] = static_cast<int64_t>(meet);
    std::optional<Point> point = evaluate(std::move(prices));
    if (!point)
      break;
    bool reached = point->value >= line;
    (point->excess[row] > 0 ? low : high) = *point;
    accept(std::move(*point));
    if (reached || isDone())
      break;
  }
  return best.value > from;
}

void Pricing::followSubgradient() {
  // Polyak's steps towards the known choice, or a little above the bound;
  // halved while they do not improve.
  double damping = 1;
  Point at = best;
  while (!isDone() && damping > 1e-3) {
    double norm = 0;
    for (size_t row = 0; row < at.excess.size(); ++row)
      if (at.excess[row] > 0 || at.prices[row] > 0)
        norm += std::pow(static_cast<double>(at.excess[row]), 2);
    if (norm == 0)
      return;
    double value = static_cast<double>(at.value);
    double target = found.empty() ? value + std::abs(value) / 50
                                  : static_cast<double>(scale * foundCost);
    double length = damping * std::max(target - value, 1.0) / norm;
    Prices prices = at.prices;
    for (size_t row = 0; row < prices.size(); ++row) {
      double price = static_cast<double>(prices[row]) +
                     length * static_cast<double>(at.excess[row]);
      prices[row] = std::llround(std::clamp(price, 0.0, 1e17));
    }
    std::optional<Point> point = evaluate(std::move(prices));
    if (!point)
      return;
    at = *point;
    if (!accept(std::move(*point))) {
      damping *= 0.7;
      at = best;
    }
  }
}

bool Pricing::ascend(unsigned steps, WideCost enough, Deadline deadline) {
  stepsLeft = steps;
  enoughBound = enough;
  until = deadline;
  std::optional<Point> first = evaluate(Prices(rows.count(), 0));
  if (!first)
    return false;
  best = std::move(*first);
  // Row by row, as long as the one violated most improves; mostly one row or
  // few matter.
  while (!isDone()) {
    auto worst = std::max_element(best.excess.begin(), best.excess.end());
    if (worst == best.excess.end() || *worst <= 0 ||
        !searchRow(static_cast<size_t>(worst - best.excess.begin())))
      break;
  }
  followSubgradient();
  return true;
}
