//===- CostModel.h - Predicted times on a machine ---------------*- C++ -*-===//
//
// Collectives: T = base + hops * latency + sent bytes / bandwidth, by the best
// algorithm of the innermost link that joins the members. With n members and b
// bytes (of the larger side on one device) a ring takes:
//
//   all_reduce       2(n-1) hops, 2 b (n-1)/n bytes
//   all_gather       n-1 hops, b (n-1)/n bytes
//   reduce_scatter   n-1 hops, b (n-1)/n bytes
//   all_to_all       n-1 hops, b (n-1)/n bytes
//   permute          1 hop, b bytes
//
// Members on several nodes: a hop between nodes has the outer latency; the
// members of one node share its outer links, but in a permute, where all of
// them send at once.
//
// Computation: a roofline, the larger of operations / rate and bytes moved /
// memory bandwidth (on machines that do not overlap the two their sum), plus a
// constant for every operation.
//
// Sources: the constants of NCCL's tuning model (src/graph/tuning.cc);
// Williams, Waterman, Patterson, "Roofline", CACM 2009.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_COSTMODEL_H
#define TPC_SHARDING_COSTMODEL_H

#include "tpc/Dialect/Tpc/Sharding.h"
#include "tpc/Sharding/Machine.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include <unordered_map>

namespace tpc {

enum class CollectiveKind {
  AllReduce,
  AllGather,
  ReduceScatter,
  AllToAll,
  Permute
};

/// The kind of a collective of the spmd dialect; none for other operations.
std::optional<CollectiveKind> collectiveKind(mlir::Operation *op);

/// Bytes that one device sends on a ring. `bytes` is the size of the larger
/// side of the collective on one device (operand of reduce_scatter, result of
/// all_gather, the tensor itself otherwise).
double sentBytes(CollectiveKind kind, double bytes, int64_t members);

/// What an operation does on one device.
struct Work {
  double flops = 0; ///< in matrix products
  mlir::Type type;  ///< of their operands
  double bytes = 0; ///< read and written
};

class CostModel {
public:
  CostModel(Machine machine, Mesh mesh);

  /// Predicted time over the groups of `axes`; 0 for groups of one.
  double collectiveMicros(CollectiveKind kind, double bytes,
                          llvm::ArrayRef<AxisRef> axes) const;
  /// Whether an all_reduce of `bytes` takes less when every GPU reads what all
  /// members have, in one launch, than by the link's algorithms. That takes one
  /// hop and (n-1) b bytes, at the least base and latency and the greatest
  /// bandwidth of the link's rings. Never between nodes, nor among virtual
  /// devices.
  bool isFasterInOneLaunch(double bytes, llvm::ArrayRef<AxisRef> axes) const;
  /// No groups of so many members take less, whichever axes they are over.
  double leastCollectiveMicros(CollectiveKind kind, double bytes,
                               int64_t members) const;
  /// Slicing or masking into `bytes`.
  double copyMicros(double bytes) const;
  double computeMicros(const Work &work) const;

  const Machine &getMachine() const { return machine; }
  const Mesh &getMesh() const { return mesh; }

private:
  /// How a group lies on the links.
  struct Placement {
    int64_t members = 1;
    int64_t nodes = 1; ///< blocks of the inner link that it touches
    /// Indices of links; no outer one: all members are on one inner link.
    unsigned inner = 0;
    std::optional<unsigned> outer;
  };
  /// `members` devices that lie on `nodesOn(link)` blocks of each link.
  Placement
  findPlacement(int64_t members,
                llvm::function_ref<int64_t(const Link &)> nodesOn) const;
  Placement findPlacement(llvm::ArrayRef<AxisRef> axes) const;
  const Placement &place(llvm::ArrayRef<AxisRef> axes) const;
  double collectiveMicros(CollectiveKind kind, double bytes,
                          const Placement &placement) const;

  Machine machine;
  Mesh mesh;
  /// Devices that share a rate.
  double sharing = 1;
  struct ListHash {
    size_t operator()(const AxisList &axes) const {
      return llvm::hash_combine_range(axes.begin(), axes.end());
    }
  };
  /// What was placed before.
  mutable std::unordered_map<AxisList, Placement, ListHash> placements;
};

} // namespace tpc

#endif // TPC_SHARDING_COSTMODEL_H
