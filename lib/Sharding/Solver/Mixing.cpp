//===- Mixing.cpp - A choice between two choices --------------------------===//

#include "Mixing.h"
#include <algorithm>
#include <map>
#include <numeric>

using namespace tpc::solver;

/// Groups that are tried to go back, the dearest first.
static constexpr size_t kTries = 32;

int64_t tpc::solver::fullestTime(const Problem &problem, const Choice &choice) {
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

static int64_t bytesOf(const Node &node, unsigned value, int64_t time) {
  int64_t bytes = 0;
  for (const MemoryUse &use : node.memory)
    if (use.live.begin <= time && time < use.live.end)
      bytes += use.bytes[value];
  return bytes;
}

int64_t tpc::solver::bytesAt(const Problem &problem, const Choice &choice,
                             int64_t time) {
  int64_t bytes = 0;
  for (size_t i = 0; i < choice.size(); ++i)
    bytes += bytesOf(problem.nodes[i], choice[i], time);
  return bytes;
}

namespace {

/// Nodes that hang together among those that two choices differ in.
struct Group {
  std::vector<unsigned> nodes;
  /// What changes when they go over.
  Cost cost = 0;
  int64_t bytes = 0;
};

class Mixer {
public:
  Mixer(const Problem &problem, const Choice &cheap, const Choice &fitting)
      : problem(problem), cheap(cheap), fitting(fitting), root(cheap.size()) {
    std::iota(root.begin(), root.end(), 0U);
  }

  Choice run();

private:
  bool differs(unsigned node) const { return cheap[node] != fitting[node]; }
  unsigned rootOf(unsigned node) {
    while (root[node] != node)
      node = root[node] = root[root[node]];
    return node;
  }
  std::vector<Group> groups(int64_t time);
  bool fits(const Choice &choice) const {
    return price(problem, choice).feasible;
  }
  Choice goneOver(const std::vector<Group> &groups, size_t count) const;

  const Problem &problem;
  const Choice &cheap, &fitting;
  std::vector<unsigned> root;
};

} // namespace

std::vector<Group> Mixer::groups(int64_t time) {
  for (const Edge &edge : problem.edges)
    if (differs(edge.from) && differs(edge.to))
      root[rootOf(edge.from)] = rootOf(edge.to);
  std::map<unsigned, Group> byRoot;
  for (unsigned i = 0; i < cheap.size(); ++i) {
    if (!differs(i))
      continue;
    Group &group = byRoot[rootOf(i)];
    const Node &node = problem.nodes[i];
    group.nodes.push_back(i);
    group.cost += node.costs[fitting[i]] - node.costs[cheap[i]];
    group.bytes +=
        bytesOf(node, fitting[i], time) - bytesOf(node, cheap[i], time);
  }
  for (const Edge &edge : problem.edges) {
    if (!differs(edge.from) && !differs(edge.to))
      continue;
    size_t columns = problem.numValues(edge.to);
    auto costIn = [&](const Choice &choice) {
      return (*edge.costs)[choice[edge.from] * columns + choice[edge.to]];
    };
    unsigned one = differs(edge.from) ? edge.from : edge.to;
    byRoot[rootOf(one)].cost += costIn(fitting) - costIn(cheap);
  }
  std::vector<Group> found;
  for (auto &[node, group] : byRoot)
    found.push_back(std::move(group));
  return found;
}

Choice Mixer::goneOver(const std::vector<Group> &groups, size_t count) const {
  Choice choice = cheap;
  for (size_t i = 0; i < count; ++i)
    for (unsigned node : groups[i].nodes)
      choice[node] = fitting[node];
  return choice;
}

Choice Mixer::run() {
  std::vector<Group> order = groups(fullestTime(problem, cheap));
  // What saves nothing at that time comes last.
  auto rate = [](const Group &group) {
    return group.bytes < 0
               ? static_cast<double>(group.cost) / -double(group.bytes)
               : std::numeric_limits<double>::infinity();
  };
  std::stable_sort(
      order.begin(), order.end(),
      [&](const Group &a, const Group &b) { return rate(a) < rate(b); });
  size_t low = 0, high = order.size();
  while (high - low > 1) {
    size_t middle = (low + high) / 2;
    (fits(goneOver(order, middle)) ? high : low) = middle;
  }
  Choice choice = goneOver(order, high);
  std::vector<const Group *> over;
  for (size_t i = 0; i < high; ++i)
    if (order[i].cost > 0)
      over.push_back(&order[i]);
  std::stable_sort(
      over.begin(), over.end(),
      [](const Group *a, const Group *b) { return a->cost > b->cost; });
  for (size_t i = 0; i < std::min(kTries, over.size()); ++i) {
    Choice back = choice;
    for (unsigned node : over[i]->nodes)
      back[node] = cheap[node];
    if (fits(back))
      choice = std::move(back);
  }
  return choice;
}

Choice tpc::solver::mix(const Problem &problem, const Choice &cheap,
                        const Choice &fitting) {
  return Mixer(problem, cheap, fitting).run();
}
