//===- ReshardGraph.h - The shardings of a tensor and moves -----*- C++ -*-===//
//
// Dijkstra over shardings. The axes are taken in parts: the finest common
// refinement of how the two shardings cut each axis, because a part may move
// on its own. An axis that splits a dimension unevenly cannot be taken apart
// (cutting by 4 is not cutting by 2 twice); it moves as a whole. An axis that
// both use whole is not taken apart here.
//
// What can be reached from a sharding does not depend on where one wants to go,
// but for the parts and the reduction of partial values. So pairs that agree in
// these share a graph, whose moves are found once, and the search from one
// sharding goes on where it stopped for an earlier target: the optimizer asks
// for all pairs of a tensor's shardings.
//
// That is for few parts. With their number the shardings grow like its
// factorial; then see PartSearch.h.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_RESHARDGRAPH_H
#define TPC_LIB_SHARDING_RESHARDGRAPH_H

#include "AxisParts.h"
#include "tpc/Sharding/ReshardPlanner.h"

namespace tpc {

/// Where the axes of a mesh are cut, and by what a value may become partial.
struct GraphKind {
  /// Parts of axes besides the whole ones.
  llvm::SmallVector<AxisRef, 2> cuts;
  /// By which values are partial, where they are.
  Reduction reduction = Reduction::Sum;

  /// The kind of graph in which the way between two canonical shardings lies.
  static GraphKind of(const Sharding &from, const Sharding &to);
  bool operator==(const GraphKind &o) const {
    return cuts == o.cuts && reduction == o.reduction;
  }
  /// The parts in which axes are used, of those with more than one member.
  size_t numParts(const Mesh &mesh) const;
};

/// The shardings of tensors of one shape and the moves between them.
class ReshardGraph {
public:
  ReshardGraph(GraphKind kind, llvm::ArrayRef<int64_t> shape,
               int64_t elementBytes, const CostModel &costs);
  ~ReshardGraph();

  const GraphKind &kind() const;
  /// The time of the cheapest plan between canonical shardings.
  double micros(const Sharding &from, const Sharding &to);
  ReshardPlan plan(const Sharding &from, const Sharding &to);

private:
  class Impl;
  std::unique_ptr<Impl> impl;
};

} // namespace tpc

#endif // TPC_LIB_SHARDING_RESHARDGRAPH_H
