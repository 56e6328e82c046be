//===- Problem.cpp - Checks and prices choices ----------------------------===//

#include "tpc/Sharding/Solver/Problem.h"
#include <algorithm>
#include <map>

using namespace tpc::solver;

std::string tpc::solver::toString(WideCost cost) {
  bool negative = cost < 0;
  std::string digits;
  do {
    auto digit = static_cast<int>(cost % 10);
    digits += static_cast<char>('0' + (negative ? -digit : digit));
    cost /= 10;
  } while (cost != 0);
  if (negative)
    digits += '-';
  std::reverse(digits.begin(), digits.end());
  return digits;
}

size_t Problem::numValues() const {
  size_t sum = 0;
  for (const Node &node : nodes)
    sum += node.costs.size();
  return sum;
}

static std::string at(const char *what, size_t index) {
  return std::string(what) + " " + std::to_string(index) + ": ";
}

static std::optional<std::string> checkNode(const Node &node) {
  if (node.costs.empty())
    return "has no value; expected at least one";
  for (Cost cost : node.costs)
    if (cost < -kForbidden)
      return "has the cost " + std::to_string(cost) + ", below -10^18";
  for (const MemoryUse &use : node.memory) {
    if (use.bytes.size() != node.costs.size())
      return "has " + std::to_string(node.costs.size()) + " values, but " +
             std::to_string(use.bytes.size()) + " uses of memory";
    for (int64_t bytes : use.bytes)
      if (bytes < 0 || bytes > (int64_t(1) << 60))
        return "uses " + std::to_string(bytes) + " bytes; expected 0 to 2^60";
  }
  return std::nullopt;
}

std::optional<std::string> Problem::check() const {
  for (size_t i = 0; i < nodes.size(); ++i)
    if (auto wrong = checkNode(nodes[i]))
      return at("node", i) + *wrong;
  if (!parts.empty() && parts.size() != nodes.size())
    return "has " + std::to_string(nodes.size()) + " nodes, but the parts of " +
           std::to_string(parts.size());
  for (size_t i = 0; i < parts.size(); ++i)
    if (parts[i] != kShared && parts[i] >= nodes.size())
      return at("node", i) + "belongs to part " + std::to_string(parts[i]) +
             ", but there are " + std::to_string(nodes.size()) + " nodes";
  for (size_t i = 0; i < edges.size(); ++i) {
    const Edge &edge = edges[i];
    if (edge.from >= nodes.size() || edge.to >= nodes.size())
      return at("edge", i) + "joins nodes " + std::to_string(edge.from) +
             " and " + std::to_string(edge.to) + ", but there are " +
             std::to_string(nodes.size());
    if (edge.from == edge.to)
      return at("edge", i) + "joins node " + std::to_string(edge.from) +
             " with itself";
    if (!parts.empty() && parts[edge.from] != parts[edge.to] &&
        parts[edge.from] != kShared && parts[edge.to] != kShared)
      return at("edge", i) + "joins part " + std::to_string(parts[edge.from]) +
             " with part " + std::to_string(parts[edge.to]);
    size_t expected = numValues(edge.from) * numValues(edge.to);
    if (!edge.costs || edge.costs->size() != expected)
      return at("edge", i) + "expected " + std::to_string(expected) +
             " costs, found " +
             std::to_string(edge.costs ? edge.costs->size() : 0);
    for (Cost cost : *edge.costs)
      if (cost < -kForbidden)
        return at("edge", i) + "has the cost " + std::to_string(cost) +
               ", below -10^18";
  }
  if (memoryLimit && *memoryLimit < 0)
    return "memory limit " + std::to_string(*memoryLimit) + " is negative";
  return std::nullopt;
}

Price tpc::solver::price(const Problem &problem, const Choice &choice) {
  Price result;
  bool allowed = true;
  auto add = [&](Cost cost) {
    if (cost >= kForbidden)
      allowed = false;
    else
      result.cost += cost;
  };
  std::map<int64_t, WideCost> change; // of memory in use, by time
  for (size_t i = 0; i < problem.nodes.size(); ++i) {
    const Node &node = problem.nodes[i];
    add(node.costs[choice[i]]);
    for (const MemoryUse &use : node.memory) {
      int64_t bytes = use.bytes[choice[i]];
      if (use.live.begin >= use.live.end || bytes == 0)
        continue;
      change[use.live.begin] += bytes;
      change[use.live.end] -= bytes;
    }
  }
  for (const Edge &edge : problem.edges)
    add((*edge.costs)[choice[edge.from] * problem.numValues(edge.to) +
                      choice[edge.to]]);
  WideCost inUse = 0, peak = 0;
  for (const auto &[time, bytes] : change) {
    inUse += bytes;
    peak = std::max(peak, inUse);
  }
  result.peakBytes = static_cast<int64_t>(std::min<WideCost>(peak, INT64_MAX));
  result.feasible =
      allowed && (!problem.memoryLimit || peak <= *problem.memoryLimit);
  return result;
}
