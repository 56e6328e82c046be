//===- Problem.h - The choice of strategies as data -------------*- C++ -*-===//
//
// A problem has nodes that each take one of their values (strategies), edges
// that price pairs of values, and a limit on memory over time:
//
//   minimize    sum of node costs + sum of edge costs
//   such that   at every time, the memory of the nodes that are live then is
//               at most the limit, and nothing forbidden is chosen.
//
// Example, a column and a row split that need no communication between them
// (R replicated, S split; costs in nanoseconds):
//
//   node 0 (matmul)   R: 80, S: 20         edge 0-1      R    S
//   node 1 (matmul)   R: 80, S: 25                   R   0    0
//                                                    S  30    0
//   choice {S, S} costs 45.
//
// Nothing here knows of tensors, devices or MLIR. The public format of the
// IOPDDL contest (https://github.com/google/iopddl) is one such problem.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_SOLVER_PROBLEM_H
#define TPC_SHARDING_SOLVER_PROBLEM_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tpc::solver {

/// A cost in the caller's unit. Costs are integers, so that bounds and sums
/// are exact. Entries may be negative (reductions produce such).
using Cost = int64_t;
/// A sum of costs: a hundred thousand entries near kForbidden still fit.
__extension__ typedef __int128 WideCost;
/// An entry of at least this much must not be chosen; it is never added up.
constexpr Cost kForbidden = 1'000'000'000'000'000'000;

/// Decimal digits.
std::string toString(WideCost cost);

/// Half open; begin >= end is never live.
struct Interval {
  int64_t begin = 0;
  int64_t end = 0;
};

/// Memory that a node takes while `live`.
struct MemoryUse {
  Interval live;
  /// By value, at least 0, at most 2^60.
  std::vector<int64_t> bytes;
};

struct Node {
  /// By value; at least one.
  std::vector<Cost> costs;
  /// The intervals of one node may overlap: their bytes add up.
  std::vector<MemoryUse> memory;
};

/// A table of costs, shared by the edges that are alike.
using CostTable = std::shared_ptr<const std::vector<Cost>>;

struct Edge {
  unsigned from = 0;
  unsigned to = 0;
  /// Row-major: costs[valueOfFrom * valuesOf(to) + valueOfTo].
  CostTable costs;
};

struct Problem {
  std::string name;
  std::vector<Node> nodes;
  /// A hint for solvers: by node, the part of the problem that it belongs to,
  /// or kShared. Edges join nodes of one part, or of a part with a shared one:
  /// the entries of a model and the parameters that they share. Empty: all is
  /// one part.
  std::vector<unsigned> parts;
  static constexpr unsigned kShared = UINT32_MAX;
  /// No edge from a node to itself; parallel edges add up.
  std::vector<Edge> edges;
  /// Bytes at any time; nothing: unlimited.
  std::optional<int64_t> memoryLimit;

  size_t numValues(unsigned node) const { return nodes[node].costs.size(); }
  size_t numValues() const;
  /// Why this is not a problem, or nothing: sizes that do not agree, an edge
  /// to nowhere, an entry out of range.
  std::optional<std::string> check() const;
};

/// One value for every node.
using Choice = std::vector<unsigned>;

/// What a choice amounts to.
struct Price {
  WideCost cost = 0;
  /// The most memory that is in use at any time.
  int64_t peakBytes = 0;
  /// Whether nothing forbidden is chosen and the limit is kept.
  bool feasible = false;
};

/// Prices a choice from the problem alone. The choice must have a valid value
/// for every node.
Price price(const Problem &problem, const Choice &choice);

} // namespace tpc::solver

#endif // TPC_SHARDING_SOLVER_PROBLEM_H
