//===- Elimination.h - Exact minimization on narrow graphs ------*- C++ -*-===//
//
// Bucket elimination (Dechter 1999; Koller and Friedman 2009, chapter 9). Nodes
// are eliminated one after the other; what is left of one is a message, a
// table over the nodes that it touched:
//
//   a - b - c     a: m1(b) = min over a of cost(a) + edge(a, b)
//                 b: m2(c) = min over b of m1(b) + cost(b) + edge(b, c)
//                 c: the minimum
//
// The graphs of models are chains of equal layers. Messages are normalized
// (their minimum is set aside) and held once by content, and every bucket is
// memoized on its inputs: after a few layers the messages repeat, and all
// further layers are looked up.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_ELIMINATION_H
#define TPC_LIB_SHARDING_SOLVER_ELIMINATION_H

#include "Deadline.h"
#include "Tables.h"

namespace tpc::solver {

/// In which order nodes are eliminated, and what that takes. Memory is not
/// looked at.
struct EliminationTree {
  struct Bucket {
    unsigned node;
    /// The nodes of the message, in the order of their buckets.
    std::vector<unsigned> separator;
    /// Edges between the node and its separator.
    std::vector<unsigned> edges;
    /// Buckets whose messages end here.
    std::vector<unsigned> children;
    /// The bucket that the message goes to, of the separator's first node.
    unsigned parent = none;
  };
  static constexpr unsigned none = UINT32_MAX;

  const Problem *problem = nullptr;
  /// In the order of elimination.
  std::vector<Bucket> buckets;
  /// By node.
  std::vector<unsigned> bucketOf;

  /// Nothing if some bucket would have more than `maxEntries` entries.
  static std::optional<EliminationTree> build(const Problem &problem,
                                              size_t maxEntries);
};

/// The costs to eliminate with. Equal pointers are what is computed once.
struct EliminationCosts {
  std::vector<CostTable> nodes;
  std::shared_ptr<const std::vector<CostTable>> edges;
};
EliminationCosts costsOf(const Problem &problem);

/// The messages for given costs.
class Elimination {
public:
  /// Finite sums must stay below TableOps::largest.
  Elimination(const EliminationTree &tree, EliminationCosts costs);

  /// Computes all messages. False if the time is up before.
  bool run(Deadline deadline);

  /// kForbidden if nothing is allowed.
  WideCost minimum() const { return total; }
  Choice choice() const;

  /// Prepares marginal() and outside().
  bool runOutside(Deadline deadline);
  /// By value of a node: the minimum if it is chosen, over minimum().
  const std::vector<Cost> &marginal(unsigned node) const {
    return *marginals[tree.bucketOf[node]];
  }
  /// The minimum of a bucket's subtree by the separator's values (row-major),
  /// over its least.
  const std::vector<Cost> &inside(unsigned bucket) const {
    return *messages[bucket];
  }
  /// inside() + outside() is the minimum by the separator's values, over
  /// minimum().
  const std::vector<Cost> &outside(unsigned bucket) const {
    return *outsides[bucket];
  }
  /// Over the separator and the node, the last: the bucket's costs and the
  /// messages to it, over what the bucket's message sets aside.
  std::vector<Cost> joint(unsigned bucket) const;

private:
  struct Factor {
    CostTable table;
    /// Positions in the bucket's scope (separator, then the node), of the
    /// table's dimensions.
    std::vector<unsigned> positions;
  };
  std::vector<unsigned> scopeOf(unsigned bucket) const;
  std::vector<Factor> factorsOf(unsigned bucket) const;
  std::vector<Cost> jointOf(unsigned bucket,
                            const std::vector<Factor> &factors) const;
  using Key = std::vector<uintptr_t>;
  Key keyOf(unsigned bucket, const std::vector<Factor> &factors) const;

  struct Message {
    CostTable table;
    Cost least;
  };
  struct Outside {
    std::vector<CostTable> children;
    CostTable marginal;
  };
  struct KeyHash {
    size_t operator()(const Key &key) const {
      return hashOf(reinterpret_cast<const int64_t *>(key.data()), key.size());
    }
  };

  const EliminationTree &tree;
  EliminationCosts costs;
  VectorPool pool;
  std::vector<CostTable> messages, outsides, marginals;
  std::unordered_map<Key, Message, KeyHash> messageMemo;
  std::unordered_map<Key, Outside, KeyHash> outsideMemo;
  std::vector<Cost> leasts;
  WideCost total = 0;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_ELIMINATION_H
