//===- PartSearch.h - One reshard, in parts of axes -------------*- C++ -*-===//
//
// Shardings in many parts of axes are many, so this search looks where the
// target is. It is A*: what is left is bounded by numbers of blocks
// (BlockCounts.h), and neighbours that cannot lie on a plan better than the
// best known one are not made.
//
// Permutes are not among the moves. A second permute is never needed, as the
// moves between the two could be made with other axes instead. And wherever one
// stands in a plan, the moves after it may be chosen backwards from the target,
// for any axes that are free will do: they are those of a quickest way over
// counts. So from every sharding that is met, one permute and the way from its
// counts to the target complete a plan:
//
//   from --moves--> a sharding --permute--> the same counts --way--> to
//
// How the links of a machine join devices is known to the moves, but which axes
// the way and the slices before it use is not chosen by it. On a machine of
// one kind of link, and where parts are of one size, the best plan is the best
// there is.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_PARTSEARCH_H
#define TPC_LIB_SHARDING_PARTSEARCH_H

#include "BlockCounts.h"

namespace tpc {

/// A reshard between canonical shardings.
struct ReshardQuery {
  const Sharding &from, &to;
  llvm::ArrayRef<int64_t> shape;
  int64_t elementBytes;
};

/// The parts in which both shardings are expressed: as few as they name, or
/// prime ones; an axis that cuts unevenly in one of them is left whole. Nothing
/// where the cuts of the two do not fit into each other, or the two are partial
/// by different reductions.
std::optional<AxisList> namedParts(const ReshardQuery &query, const Mesh &mesh);
std::optional<AxisList> primeParts(const ReshardQuery &query, const Mesh &mesh);

/// The best plan of less than `limit` microseconds, if one is found after
/// having looked at the neighbours of at most `effort` shardings (0: of none,
/// then what the shardings are before a permute follows from counts alone).
/// `bound` of the plan is what no plan in these parts can do better.
std::optional<ReshardPlan> searchParts(const ReshardQuery &query,
                                       llvm::ArrayRef<AxisRef> parts,
                                       BlockCounts &counts,
                                       const CostModel &costs, double limit,
                                       size_t effort);

} // namespace tpc

#endif // TPC_LIB_SHARDING_PARTSEARCH_H
