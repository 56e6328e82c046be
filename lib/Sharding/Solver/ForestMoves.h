//===- ForestMoves.h - Large-neighbourhood search by forests ----*- C++ -*-===//
//
// A move picks a random region of the problem and in it a random forest: nodes
// among which the edges form trees. With all other nodes as they are, the best
// values of the whole forest are found exactly by dynamic programming:
//
//       a - b - c        b left out: a, d - e and c are trees. Every tree is
//           |   |        solved with b as it is, in the time of its edges.
//           d - e
//
// Memory is priced there, since rows couple trees. What comes out is checked
// against the rows as they are: where it does not fit, the prices of the rows
// in question rise, and the forest is solved again. It is then accepted by its
// true cost as in simulated annealing.
//
// A choice that does not keep all rows is repaired by the same moves: a row
// that is too full must not become fuller, and has a price that rises with
// time.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_FORESTMOVES_H
#define TPC_LIB_SHARDING_SOLVER_FORESTMOVES_H

#include "ChoiceState.h"
#include "Deadline.h"
#include "Random.h"
#include <optional>

namespace tpc::solver {

class ForestMoves {
public:
  ForestMoves(const FlatProblem &flat, uint64_t seed);

  /// Scaled cost a byte, by row: what memory is about worth.
  void setPrices(const std::vector<double> &prices);
  /// Goes on from here.
  void start(const Choice &choice);
  /// Another choice to start from some time.
  void offer(const Choice &choice);
  /// Moves until so many entries are touched.
  void run(size_t work, Deadline deadline);

  bool found() const { return !bestChoice.empty(); }
  /// The best choice that keeps all rows.
  const Choice &best() const { return bestChoice; }
  /// Scaled, with the constant.
  WideCost bestCost() const { return flat.constant + int64_t(bestTotal); }

private:
  /// A node of the forest.
  struct Member {
    unsigned node;
    /// In forest; itself for a root. Parents come first.
    unsigned parent;
    /// Of the node, to its parent; of the parent, to the node.
    unsigned arcUp, arcDown;
    /// Where its values are in local and solved.
    size_t values;
    unsigned chosen;
  };
  /// A price of a byte on top of all others.
  struct ExtraPrice {
    unsigned row;
    double price;
  };
  /// Bytes that a row has too many, or that change from a row on.
  struct RowBytes {
    unsigned row;
    int64_t bytes;
  };

  void nextEpoch();
  void improve();
  void repair();
  unsigned culprit(RowLoads::Largest worst);
  void keepIfBest();
  double heat() const;
  unsigned regionSize();

  void growRegion(unsigned seed, unsigned size);
  void growParts(unsigned seed, unsigned size);
  void pickForest();
  void orderTrees();
  void takeLocalCosts();
  void priceForest(double factor, double noise);
  void solveForest();
  double changeOfCost() const;
  double changeOfMemory() const;
  bool fits();
  void raisePrices(double gain, double factor);
  void apply();

  const FlatProblem &flat;
  Random random;
  /// Nodes that have a choice; of these, those that take memory, by the first
  /// row in which they do; the place of a node there.
  std::vector<unsigned> open, byTime, positionInTime;
  /// By value.
  std::vector<double> memoryPrice;

  std::optional<ChoiceState> state;
  /// The choice does not keep all rows, or has what is forbidden.
  bool repairing = false;
  double repairPrice = 0;
  Choice bestChoice, offered;
  double bestTotal = 0;
  /// Entries touched since the beginning, and in this epoch of annealing.
  size_t work = 0, epochWork = 0, epochLength = 0;
  unsigned epochs = 0;
  /// The heat at the beginning of the epoch.
  double hot = 0;

  /// The move that is being tried. Its number marks, by node, whether it is in
  /// the region or waits to be, and in the forest.
  uint64_t now = 0;
  std::vector<uint64_t> seen, inForest;
  std::vector<unsigned> region, frontier;
  std::vector<Member> forest;
  /// By node, in forest.
  std::vector<unsigned> place;
  /// Costs by value of a member: with all nodes that are not in the forest; and
  /// with prices and the trees below.
  std::vector<double> local, solved;
  std::vector<ExtraPrice> extra;
  std::vector<RowBytes> overflows;

  /// Room for intermediate results.
  struct TreeEdge {
    unsigned a, b; // members
    unsigned arc;  // from a to b
  };
  std::vector<TreeEdge> treeEdges;
  std::vector<std::pair<unsigned, unsigned>> halfEdges; // member, arc
  std::vector<unsigned> roots, edgeBegin, memberOf;
  std::vector<Member> ordered;
  std::vector<double> message;
  std::vector<RowBytes> changes;
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_FORESTMOVES_H
