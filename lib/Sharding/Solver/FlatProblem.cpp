//===- FlatProblem.cpp - The problem laid out for speed -------------------===//

#include "FlatProblem.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <tuple>
#include <unordered_map>

using namespace tpc::solver;

namespace {

/// A sum that is forbidden is kForbiddenSum; all others are below it.
constexpr WideCost kForbiddenSum = WideCost(1) << 100;

WideCost widen(Cost cost) {
  return cost >= kForbidden ? kForbiddenSum : WideCost(cost);
}

/// Parallel edges added up, least entry 0.
struct Link {
  unsigned from, to; // from < to
  std::vector<WideCost> costs;
};

/// The problem before it is scaled.
struct Links {
  std::vector<std::vector<WideCost>> unary;
  std::vector<Link> links;
  WideCost constant = 0;
};

} // namespace

/// Moves the least entry of a table into the constant.
static void normalize(std::vector<WideCost> &costs, WideCost &constant) {
  WideCost least = *std::min_element(costs.begin(), costs.end());
  if (least >= kForbiddenSum)
    return;
  constant += least;
  for (WideCost &cost : costs)
    cost = cost >= kForbiddenSum ? kForbiddenSum : cost - least;
}

static Links mergeEdges(const Problem &problem) {
  Links result;
  for (const Node &node : problem.nodes) {
    auto &unary = result.unary.emplace_back();
    for (Cost cost : node.costs)
      unary.push_back(widen(cost));
    normalize(unary, result.constant);
  }
  std::vector<unsigned> order(problem.edges.size());
  auto ends = [&](unsigned e) {
    return std::minmax(problem.edges[e].from, problem.edges[e].to);
  };
  for (unsigned e = 0; e < order.size(); ++e)
    order[e] = e;
  std::sort(order.begin(), order.end(), [&](unsigned a, unsigned b) {
    return std::tuple(ends(a).first, ends(a).second, a) <
           std::tuple(ends(b).first, ends(b).second, b);
  });
  for (unsigned e : order) {
    const Edge &edge = problem.edges[e];
    auto [from, to] = std::minmax(edge.from, edge.to);
    size_t rows = problem.numValues(from), columns = problem.numValues(to);
    auto &links = result.links;
    if (links.empty() || links.back().from != from || links.back().to != to)
      links.push_back({from, to, std::vector<WideCost>(rows * columns, 0)});
    auto &costs = links.back().costs;
    for (size_t r = 0; r < rows; ++r)
      for (size_t c = 0; c < columns; ++c) {
        WideCost entry =
            widen(edge.from == from ? (*edge.costs)[r * columns + c]
                                    : (*edge.costs)[c * rows + r]);
        WideCost &sum = costs[r * columns + c];
        sum = std::min(sum + entry, kForbiddenSum);
      }
  }
  for (Link &link : result.links)
    normalize(link.costs, result.constant);
  return result;
}

/// About what a choice costs beyond the constant: every node in turn takes what
/// is best with its earlier neighbours.
static double typicalCost(const Links &links) {
  std::vector<std::vector<unsigned>> earlier(links.unary.size());
  for (unsigned l = 0; l < links.links.size(); ++l)
    earlier[links.links[l].to].push_back(l);
  std::vector<size_t> choice(links.unary.size());
  WideCost total = 0;
  for (size_t i = 0; i < choice.size(); ++i) {
    std::vector<WideCost> sum = links.unary[i];
    for (unsigned l : earlier[i]) {
      const Link &link = links.links[l];
      for (size_t v = 0; v < sum.size(); ++v)
        sum[v] =
            std::min(sum[v] + link.costs[choice[link.from] * sum.size() + v],
                     kForbiddenSum);
    }
    auto least = std::min_element(sum.begin(), sum.end());
    choice[i] = least - sum.begin();
    if (*least < kForbiddenSum)
      total += *least;
  }
  return static_cast<double>(total);
}

/// Exact sums of what matters need room, and so do shares of costs.
static int chooseShift(const Links &links, std::optional<WideCost> target) {
  double typical = typicalCost(links);
  if (target)
    typical = std::min(typical,
                       double(std::max<WideCost>(*target - links.constant, 0)));
  double largest = 0;
  auto add = [&](const std::vector<WideCost> &costs) {
    for (WideCost cost : costs)
      if (cost < kForbiddenSum)
        largest = std::max(largest, double(cost));
  };
  for (const auto &costs : links.unary)
    add(costs);
  for (const Link &link : links.links)
    add(link.costs);
  // Memory may make choices many times as expensive as what is typical without.
  int shift = std::min(38 - std::ilogb(typical + 1), 30);
  // Costs that are not split for it may be larger, and rare ones cut off.
  constexpr int enough = 8;
  if (shift < 0)
    return std::min(shift + 4, 0);
  return std::min(shift, std::max(enough, std::ilogb(FlatProblem::kMostFinite) -
                                              1 - std::ilogb(largest + 1)));
}

FlatProblem::FlatProblem(const Problem &problem, std::optional<WideCost> target)
    : memory(problem) {
  Links links = mergeEdges(problem);
  shift = chooseShift(links, target);
  constant = scale(links.constant);
  auto scaled = [&](WideCost cost) {
    return cost >= kForbiddenSum
               ? kBig
               : std::min(static_cast<double>(scale(cost)), kMostFinite);
  };

  begin.push_back(0);
  for (const auto &costs : links.unary) {
    numValues.push_back(unsigned(costs.size()));
    for (WideCost cost : costs)
      unary.push_back(scaled(cost));
    while (unary.size() % kLanes)
      unary.push_back(kBig);
    begin.push_back(unary.size());
  }

  arcBegin.assign(numNodes() + 1, 0);
  for (const Link &link : links.links) {
    ++arcBegin[link.from + 1];
    ++arcBegin[link.to + 1];
  }
  for (unsigned i = 0; i < numNodes(); ++i)
    arcBegin[i + 1] += arcBegin[i];
  arcs.resize(arcBegin.back());
  firstForward = arcBegin;
  firstForward.pop_back();

  // Alike tables are stored once.
  std::unordered_multimap<size_t, size_t> known; // hash to start
  std::vector<double> table;
  auto store = [&](const Link &link, bool transposed) {
    unsigned row = transposed ? link.to : link.from;
    unsigned column = transposed ? link.from : link.to;
    table.clear();
    for (unsigned r = 0; r < numValues[row]; ++r)
      for (unsigned c = 0; c < slots(column); ++c)
        table.push_back(c >= numValues[column] ? kBig
                        : transposed
                            ? scaled(link.costs[c * numValues[row] + r])
                            : scaled(link.costs[r * numValues[column] + c]));
    size_t hash = table.size();
    for (double entry : table)
      hash = (hash ^ std::hash<double>()(entry)) * 0x9E3779B97F4A7C15u +
             (hash >> 29);
    auto [first, last] = known.equal_range(hash);
    for (auto it = first; it != last; ++it)
      if (it->second + table.size() <= tables.size() &&
          !std::memcmp(&tables[it->second], table.data(),
                       table.size() * sizeof(double)))
        return it->second;
    size_t start = tables.size();
    tables.insert(tables.end(), table.begin(), table.end());
    known.emplace(hash, start);
    return start;
  };
  // Links are sorted by (from, to): arcs to earlier nodes come first if all of
  // them are placed before any to a later node.
  for (Link &link : links.links)
    arcs[firstForward[link.to]++] = {link.from, 0, 0, 0};
  std::vector<unsigned> nextForward = firstForward;
  std::vector<unsigned> nextBackward(arcBegin.begin(), arcBegin.end() - 1);
  for (Link &link : links.links) {
    unsigned forward = nextForward[link.from]++;
    unsigned backward = nextBackward[link.to]++;
    arcs[forward] = {link.to, backward, store(link, false), 0};
    arcs[backward] = {link.from, forward, store(link, true), 0};
    link.costs = {};
  }
  for (unsigned i = 0; i < numNodes(); ++i)
    for (unsigned a = arcBegin[i]; a < arcBegin[i + 1]; ++a) {
      arcs[a].message = messageSlots;
      messageSlots += slots(i);
    }

  for (unsigned i = 0; i < numNodes(); ++i)
    for (unsigned u = memory.useBegin[i]; u < memory.useBegin[i + 1]; ++u) {
      bytesBegin.push_back(bytes.size());
      for (unsigned v = 0; v < numValues[i]; ++v)
        bytes.push_back(double(memory.excess[memory.uses[u].bytes + v]));
      bytes.resize(bytesBegin.back() + slots(i), 0.0);
    }
}

WideCost FlatProblem::unscaleBound(WideCost scaled) const {
  if (shift < 0)
    return scaled << -shift;
  return (scaled + (WideCost(1) << shift) - 1) >> shift;
}

WideCost FlatProblem::scale(WideCost cost) const {
  return shift < 0 ? cost >> -shift : cost << shift;
}
