//===- ShardingProblemParts.h - What a problem is made of -------*- C++ -*-===//
//
// Shared by the files of ShardingProblem and nobody else.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SHARDINGPROBLEMPARTS_H
#define TPC_LIB_SHARDING_SHARDINGPROBLEMPARTS_H

#include "ShardingProblem.h"
#include <set>
#include <unordered_map>

namespace tpc {

struct ShardingProblem::TensorSpace {
  struct Hash {
    size_t operator()(const Sharding &s) const { return hash_value(s); }
  };
  llvm::SmallVector<int64_t> shape;
  int64_t elementBytes;
  std::vector<Sharding> shardings;
  std::unordered_map<Sharding, unsigned, Hash> index;
  /// Bytes on one device, by sharding.
  std::vector<int64_t> localBytes;
  /// Microseconds from one sharding to another; below 0: not asked yet.
  std::vector<std::vector<double>> micros;

  /// `sharding` must be canonical.
  unsigned number(const Sharding &sharding, const Mesh &mesh) {
    auto [it, fresh] = index.try_emplace(sharding, shardings.size());
    if (fresh) {
      shardings.push_back(sharding);
      int64_t bytes = elementBytes;
      for (int64_t n : localShape(shape, sharding, mesh))
        bytes *= n;
      localBytes.push_back(bytes);
    }
    return it->second;
  }
  double between(unsigned from, unsigned to, ReshardPlanner &planner) {
    if (from == to)
      return 0;
    if (micros.size() <= from)
      micros.resize(shardings.size());
    std::vector<double> &row = micros[from];
    if (row.size() <= to)
      row.resize(shardings.size(), -1);
    if (row[to] < 0)
      row[to] =
          planner.micros(shardings[from], shardings[to], shape, elementBytes);
    return row[to];
  }
};

/// What a node stands for.
struct ShardingProblem::NodeInfo {
  enum Kind { Symbol, Argument, Op, Shard, Result, Copy } kind;
  mlir::Operation *op = nullptr; ///< symbol, operation, shard, return
  mlir::Value value = {};        ///< argument; of a copy, the value copied
  unsigned index = 0; ///< of a result; of a copy, the target's number
  /// What it gives and wants, by result and operand.
  llvm::SmallVector<const Port *, 1> gives = {};
  llvm::SmallVector<const Port *, 3> wants = {};
};

/// The distinct shardings that ports want, in order.
template <typename Ports>
std::vector<unsigned> distinctTargets(const Ports &ports) {
  std::set<unsigned> targets;
  for (const auto *port : ports)
    targets.insert(port->shardings.begin(), port->shardings.end());
  return {targets.begin(), targets.end()};
}

} // namespace tpc

#endif // TPC_LIB_SHARDING_SHARDINGPROBLEMPARTS_H
