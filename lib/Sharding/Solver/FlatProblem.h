//===- FlatProblem.h - The problem laid out for speed -----------*- C++ -*-===//
//
// A problem in flat arrays of doubles that hold integers. Costs are scaled by
// a power of two, so that the whole fits the 53 bits in which doubles are
// exact: sums and minima of such doubles are integer arithmetic, which keeps
// bounds rigorous at the speed of vector instructions.
//
// What every choice pays (the least entry of every node and every table) is
// taken out into a constant; parallel edges are one; forbidden entries are
// kBig, and those that are too large to be part of a good choice kMostFinite.
// Everything rounds down: an optimum here is never above that of the problem.
//
// Arrays by value are padded to whole vectors: a node with 5 values has 8
// slots, the last three of them kBig.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_FLATPROBLEM_H
#define TPC_LIB_SHARDING_SOLVER_FLATPROBLEM_H

#include "CapacityRows.h"

namespace tpc::solver {

/// What the compiler makes one or two instructions of.
typedef double Vector __attribute__((vector_size(32), aligned(8)));
constexpr unsigned kLanes = 4;

struct FlatProblem {
  /// Far above any cost of interest, and 2^7 of them still add up exactly.
  static constexpr double kBig = 0x1p46;
  /// What larger entries that are not forbidden count as.
  static constexpr double kMostFinite = kBig / 2;

  /// Only choices that cost less than `target` are of interest, if there is
  /// one: then less is lost to rounding.
  explicit FlatProblem(const Problem &problem,
                       std::optional<WideCost> target = std::nullopt);

  /// An edge as seen from one of its nodes.
  struct Arc {
    unsigned other;
    /// The same edge in arcs as seen from the other node.
    unsigned reverse;
    /// tables[table + value * slots(other) + otherValue].
    size_t table;
    /// Where a message to this node along the edge starts; see Bound.h.
    size_t message;
  };

  unsigned numNodes() const { return unsigned(numValues.size()); }
  unsigned slots(unsigned node) const {
    return unsigned(begin[node + 1] - begin[node]);
  }
  const double *row(const Arc &arc, unsigned value) const {
    return &tables[arc.table + size_t(value) * slots(arc.other)];
  }
  /// From a sum of entries here to a cost of the problem: rounded up, since
  /// costs are integers.
  WideCost unscaleBound(WideCost scaled) const;
  /// A cost of the problem as a sum of entries here.
  WideCost scale(WideCost cost) const;
  /// The least bound, scaled, that shows that no choice costs less than `cost`:
  /// one that costs less does so by at least 1.
  WideCost target(WideCost cost) const { return scale(cost - 1) + 1; }

  /// An entry here is cost * 2^shift.
  int shift = 0;
  /// Scaled.
  WideCost constant = 0;
  std::vector<unsigned> numValues;
  /// Node i has unary[begin[i]] to unary[begin[i + 1]].
  std::vector<size_t> begin;
  std::vector<double> unary;
  /// Node i has arcs[arcBegin[i]] to arcs[arcBegin[i + 1]], by ascending
  /// other node; those from firstForward[i] on lead to later nodes.
  std::vector<unsigned> arcBegin, firstForward;
  std::vector<Arc> arcs;
  std::vector<double> tables;
  /// Slots of all messages together.
  size_t messageSlots = 0;
  CapacityRows memory;
  /// What memory.uses[u] takes by value, padded: bytes[bytesBegin[u]] on. Off
  /// by at most one part in 2^53.
  std::vector<size_t> bytesBegin;
  std::vector<double> bytes;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_FLATPROBLEM_H
