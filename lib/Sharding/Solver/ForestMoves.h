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
#include <array>
#include <cstdlib>
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
    /// In forest; itself for a root.
    unsigned parent;
    /// Of the node, to its parent; of the parent, to the node.
    unsigned arcUp, arcDown;
    /// Where its values are in local and solved.
    size_t values;
    unsigned chosen;
  };
  /// A price on top of all others.
  struct ExtraPrice {
    unsigned row;
    double price;
  };
  struct Overflow {
    unsigned row;
    int64_t bytes;
  };

  struct Change {
    unsigned row;
    int64_t bytes;
  };

  static constexpr unsigned kPlaced = ~0u;

  unsigned regionSize();
  void improve();
  void repair();
  void nextEpoch();
  double temperature() const;
  void keepIfBest();

  void pickRegion(unsigned size);
  void growRegion(unsigned seed, unsigned size);
  void pickForest();
  void orderTrees();
  void priceForest(double factor, double noise);
  void solveForest();
  double changeOfCost() const;
  bool fits();
  void raisePrices(double gain, double factor);
  void apply();

  const FlatProblem &flat;
  Random random;
  std::optional<ChoiceState> state;
  Choice bestChoice, offered;
  /// The choice does not keep all rows, or has what is forbidden.
  bool repairing = false;
  double bestTotal = 0;
  /// Nodes that have a choice.
  std::vector<unsigned> open;
  /// Nodes with uses, by the first row of these.
  std::vector<unsigned> byTime;
  /// By node: its position there.
  std::vector<unsigned> positionInTime;
  /// Prices of the memory of all values.
  std::vector<double> memoryPrice;
  /// What is being tried.
  std::vector<unsigned> region, frontier;
  std::vector<Member> forest;
  std::vector<std::array<unsigned, 3>> treeEdges; // member, member, arc
  std::vector<unsigned> roots, edgeBegin, memberOf;
  std::vector<std::pair<unsigned, unsigned>> halfEdges; // member, arc
  std::vector<Member> ordered;
  std::vector<double> local, solved, message;
  std::vector<ExtraPrice> extra;
  std::vector<Overflow> overflows;
  std::vector<Change> changes;
  /// By node: the step in which it was last seen in a region, and its place in
  /// the forest.
  std::vector<uint64_t> seen, inForest;
  std::vector<unsigned> place;
  uint64_t now = 0;
  size_t work = 0;
  /// Progress of annealing.
  size_t epochWork = 0, epochLength = 0;
  unsigned epochs = 0;
  double hot = 0;
  double repairPrice = 0;
public: double hotFactor=getenv("HOT")?atof(getenv("HOT")):1,eta=getenv("ETA")?atof(getenv("ETA")):1; size_t steps=0; size_t worked() const{return work;}
};

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_FORESTMOVES_H
