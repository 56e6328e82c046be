//===- BlockCounts.h - Reshards as numbers of blocks ------------*- C++ -*-===//
//
// A sharding, without saying which axes do what: by how many each dimension is
// split, and how many contributions there are to a partial value. Of a tensor
// with two dimensions on eight devices [{"a"}, {"b"}] with "a" = 4, "b" = 2 is
//
//   (4, 2, 1)    that is 1 copy
//
// A move takes members from one place and puts them into another: all_gather
// takes them from a dimension and makes copies, all_to_all puts them into
// another dimension, and so on. Which axes these are is left open, so a way
// over counts never costs more than a plan, and a permute stays where it is.
// The ways are few: they are bounds for searches among shardings, and say what
// a plan does before and after a permute.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_BLOCKCOUNTS_H
#define TPC_LIB_SHARDING_BLOCKCOUNTS_H

#include "tpc/Sharding/ReshardPlanner.h"
#include "llvm/ADT/DenseMap.h"
#include <map>

namespace tpc {

/// A place that axes can be in: a dimension, then these.
enum ExtraPlace : unsigned { kPartial, kCopies, kNumExtraPlaces };

/// The step that takes axes from one place to another. Of places that are not
/// dimensions `rank + kPartial` stands for partial axes, `rank + kCopies` for
/// those over which a value is replicated.
ReshardStep::Kind stepBetween(unsigned from, unsigned to, unsigned rank);

class BlockCounts {
public:
  /// For each dimension, then contributions.
  using Counts = llvm::SmallVector<int64_t, 5>;

  /// `mayBePartial`: whether a value may become partial on its way.
  BlockCounts(llvm::ArrayRef<int64_t> shape, int64_t elementBytes,
              bool mayBePartial, const CostModel &costs);

  size_t size() const { return nodes.size(); }
  size_t find(llvm::ArrayRef<int64_t> counts) const {
    return index.find(Counts(counts))->second;
  }
  size_t nodeOf(const Sharding &sharding, const Mesh &mesh) const;
  llvm::ArrayRef<int64_t> counts(size_t node) const { return nodes[node]; }
  /// Bytes on one device.
  double bytes(size_t node) const { return localBytes[node]; }

  struct Move {
    size_t node;       ///< that it leads to
    unsigned from, to; ///< places
    int64_t members;
    double micros; ///< at least
  };
  llvm::ArrayRef<Move> moves(size_t node) const { return forward[node]; }

  /// For every node the least time of a way to (from) `node`.
  const std::vector<double> &timesTo(size_t node);
  const std::vector<double> &timesFrom(size_t node);
  /// The moves of a quickest way.
  std::vector<Move> way(size_t from, size_t to);

  /// Where on the way one permute may stand, and the least that the whole then
  /// takes: the few best places, the best one first.
  using PermutePlaces = llvm::SmallVector<std::pair<double, size_t>, 8>;
  const PermutePlaces &permutePlaces(size_t from, size_t to);

private:
  void enumerate(Counts &counts, int64_t left);
  void addMoves(size_t node, const CostModel &costs);
  std::vector<double> times(size_t start,
                            const std::vector<std::vector<Move>> &moves) const;

  llvm::SmallVector<int64_t> shape;
  int64_t devices;
  bool mayBePartial;
  std::vector<Counts> nodes;
  std::map<Counts, size_t> index;
  std::vector<double> localBytes;
  std::vector<double> permuteMicros; ///< at least
  std::vector<std::vector<Move>> forward, backward;
  /// By node, empty where not known.
  std::vector<std::vector<double>> knownTo, knownFrom;
  llvm::DenseMap<std::pair<size_t, size_t>, PermutePlaces> knownPlaces;
};

} // namespace tpc

#endif // TPC_LIB_SHARDING_BLOCKCOUNTS_H
