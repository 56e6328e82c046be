//===- Buckets.h - Going through a bucket of elimination --------*- C++ -*-===//
//
// What elimination over classes (ClassElimination.h) does at one node: its
// factors are added up at every place of their common scope, and the least sum
// over the node itself is kept.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_BUCKETS_H
#define TPC_LIB_SHARDING_SOLVER_BUCKETS_H

#include "tpc/Sharding/Solver/Problem.h"

namespace tpc::solver {

/// The class of every value of a node; classes are numbered in the order of
/// their first value. Equal partitions are equal pointers.
using Partition = CostTable;

size_t numClasses(const Partition &partition);

/// A table over classes of some nodes, row-major, the last node fastest.
struct Factor {
  std::vector<unsigned> nodes; ///< ascending
  std::vector<Partition> partitions;
  CostTable table;
};

/// Goes through the classes of a bucket's scope, the bucket's node innermost,
/// and knows at every place where it is in each factor's table.
class BucketLoop {
public:
  struct Operand {
    const Cost *table;
    /// By position in the scope: by class, what it adds to the offset; empty
    /// where the factor does not have the node.
    std::vector<std::vector<size_t>> offsets;
    /// By position: the distance of its classes in the table.
    std::vector<size_t> strides;
    size_t at = 0;
    const size_t *inner = nullptr; ///< offsets of the bucket's node, or null
  };
  std::vector<Operand> operands;
  /// Classes by position, the bucket's node left out.
  std::vector<size_t> sizes;
  size_t outer = 1, inner = 1;

  /// `scope` and `partitions` outlive the loop.
  BucketLoop(const std::vector<unsigned> &scope,
             const std::vector<Partition> &partitions);
  void add(const Factor &factor);
  /// Adds up all factors at the present place, by class of the bucket's node.
  void sum(std::vector<Cost> &sums) const;
  void next();

private:
  const std::vector<unsigned> &scope;
  const std::vector<Partition> &partitions;
  std::vector<size_t> at;
};

/// At every place of a loop the least sum over the bucket's node, kForbidden
/// where there is none.
std::vector<Cost> leastSums(const BucketLoop &loop);

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_BUCKETS_H
