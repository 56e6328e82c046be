//===- ReshardPlanner.h - From one sharding to another ----------*- C++ -*-===//
//
// A reshard is a shortest path over shardings, under the cost model. The moves:
//
//   all_reduce      partial axes            -> replicated
//   reduce_scatter  a partial axis          -> minor-most split of a dimension
//   all_gather      minor-most split axes   -> replicated
//   all_to_all      minor-most split        -> minor-most split elsewhere
//   slice           a replicated axis       -> minor-most split
//   to_partial      a replicated axis       -> partial
//   permute         the same blocks on other devices, over any axes and parts
//
// The axes are looked at in the parts in which the two shardings use them, and
// for permutes in prime parts. With many parts there are too many shardings to
// look at all of them: then a plan may not be the cheapest, and its bound says
// by how much at most.
//
// Every pair of shardings is connected (through the replicated one), so
// planning cannot fail. A value is never partial by two reductions at once:
// they do not commute.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_RESHARDPLANNER_H
#define TPC_SHARDING_RESHARDPLANNER_H

#include "tpc/Dialect/Tpc/Sharding.h"
#include "tpc/Sharding/CostModel.h"

namespace tpc {

struct ReshardStep {
  enum Kind {
    AllReduce,
    ReduceScatter,
    AllGather,
    AllToAll,
    Permute,
    Slice,
    ToPartial
  };
  Kind kind;
  bool communicates() const { return kind != Slice && kind != ToPartial; }
  /// The axes that communicate (major to minor), or that slice or mask.
  AxisList axes;
  /// The dimension that becomes split or gathered; all_to_all: `dim` becomes
  /// split, `fromDim` gathered.
  unsigned dim = 0;
  unsigned fromDim = 0;
  Reduction reduction = Reduction::Sum;
  /// permute: member i over `axes` receives from sources[i].
  llvm::SmallVector<int64_t> sources = {};
  /// The value's sharding after this step.
  Sharding result = {};
  double micros = 0;
};

/// "all_reduce", "slice", ...
llvm::StringRef stringify(ReshardStep::Kind kind);

struct ReshardPlan {
  llvm::SmallVector<ReshardStep, 2> steps;
  double micros = 0;
  /// No plan takes less. Less than `micros` where the search was given up.
  double bound = 0;
};

/// The cheapest plan that is found. Shardings must be valid on the mesh,
/// partial by one reduction at most, and have the rank of `shape`.
ReshardPlan planReshard(const Sharding &from, const Sharding &to,
                        llvm::ArrayRef<int64_t> shape, int64_t elementBytes,
                        const CostModel &costs);

/// planReshard with a memory.
class ReshardPlanner {
public:
  explicit ReshardPlanner(CostModel costs);
  ~ReshardPlanner();
  ReshardPlan plan(const Sharding &from, const Sharding &to,
                   llvm::ArrayRef<int64_t> shape, int64_t elementBytes);
  /// The time of the plan alone, but where both shardings use axes whole
  /// without permutes of their parts: the plan may take less. The shardings
  /// must be canonical.
  double micros(const Sharding &from, const Sharding &to,
                llvm::ArrayRef<int64_t> shape, int64_t elementBytes);
  const CostModel &getCosts() const { return costs; }

private:
  struct Cache;
  CostModel costs;
  std::unique_ptr<Cache> cache;
};

} // namespace tpc

#endif // TPC_SHARDING_RESHARDPLANNER_H
