//===- ShardingProblemParts.h - What a problem is made of -------*- C++ -*-===//
//
// Shared by the files of ShardingProblem and nobody else.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SHARDINGPROBLEMPARTS_H
#define TPC_LIB_SHARDING_SHARDINGPROBLEMPARTS_H

#include "ShardingProblem.h"
#include "Ties.h"
#include <map>
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
  /// Not computed again but kept, for others to be (Recomputation.h).
  bool isKept = false;
};

struct ShardingProblem::Reads {
  struct Span {
    int64_t first, last;
  };
  /// Forward, for gradients, and where something is computed again from it.
  std::optional<Span> before, behind, again;
  /// Whether it is there behind the boundary if it is not made again.
  bool isThere = false;

  static void add(std::optional<Span> &span, int64_t time) {
    if (!span)
      span = {time, time};
    span = {std::min(span->first, time), std::max(span->last, time)};
  }
  solver::Interval kept(int64_t begin) const;
  solver::Interval backward() const;
};

/// What nodes and edges that are alike share.
struct ShardingProblem::Tables {
  std::map<std::pair<std::vector<int64_t>, int64_t>,
           std::unique_ptr<TensorSpace>>
      spaces;
  std::map<std::tuple<TensorSpace *, std::vector<unsigned>, bool, unsigned>,
           std::unique_ptr<Port>>
      ports;
  std::map<std::tuple<const Port *, const Port *, double, size_t>,
           solver::CostTable>
      reshards;
  std::map<std::pair<const Port *, const Port *>, solver::CostTable> equal;
  std::map<std::tuple<Tie::Kind, const StrategySpace::Strategies *,
                      const StrategySpace::Strategies *, std::vector<unsigned>,
                      std::vector<unsigned>>,
           solver::CostTable>
      ties;
  /// Between what makes a value and what is computed again from it.
  std::map<std::tuple<const Port *, const Port *, bool, bool, bool>,
           solver::CostTable>
      again;
  /// To and from (value, target) nodes.
  std::map<std::tuple<const Port *, unsigned, double, unsigned, bool, bool>,
           solver::CostTable>
      making;
  std::map<std::tuple<const Port *, unsigned, unsigned, bool>,
           solver::CostTable>
      needing;
  std::map<std::tuple<const Port *, const Port *, double, unsigned>,
           solver::CostTable>
      copying;
  std::map<std::pair<const Port *, unsigned>, solver::CostTable> taking;
  /// Ports of the operations that share a list of strategies and may take the
  /// same of them.
  struct OpPorts {
    llvm::SmallVector<const Port *, 3> wants;
    llvm::SmallVector<const Port *, 1> gives;
  };
  std::map<std::pair<const StrategySpace::Strategies *, std::vector<unsigned>>,
           OpPorts>
      opPorts;
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
