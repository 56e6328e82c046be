//===- ShardingProblem.h - A module's choice as data ------------*- C++ -*-===//
//
// Turns a module in the whole form into a solver::Problem and choices of that
// problem back into assignments.
//
//   node                        its values
//   --------------------------  ---------------------------------------------
//   operation                   strategies of its rule
//   parameter, state, argument  shardings in which it is stored or given
//   result of an entry          shardings in which it is returned
//   tpc.shard                   the shardings that the pin allows
//   (value, target sharding)    made or not, where a value has several users
//
// An edge joins the node that makes a value with one that uses it and prices
// the reshard. A value with several users is resharded to each target once:
// there the edge to the (value, target) node carries the price, and the edges
// to the users forbid a target that is not made.
//
// With memory in the problem, a resharded copy takes memory as well: then a
// value with one user has a copy node, too, whose values say for every target
// whether the value itself is used (it is held so) or a copy. Lives are counted
// long: a value from where it is made to its last user, a copy from the value's
// first user to its last, whoever wants it. So limits are kept, but where one
// binds, bounds are those of this count; predict() counts what is wanted.
//
// With memory, what gradients read may also be computed again for them, which
// Recomputation.h explains: an operation that can be has its strategies twice,
// the second time with the costs of both computations and two short lives in
// place of a long one. Copies likewise are made once, or again for gradients.
//
// A value with very many users (positions, which every layer reads) would tie
// all of them together. There each user pays its share of the reshard: exact
// where all want the same, else less than the reshards take, so that the
// solver's bound holds in any case.
//
// Pins leave nodes fewer values; which pins count is said where the problem is
// built, so that it can be asked which of them contradict each other. Further
// demands are made of a copy of the problem once it is built: under().
//
// Costs are picoseconds, times the weight of the entry. Nodes and edges that
// are alike share their tables.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SHARDINGPROBLEM_H
#define TPC_LIB_SHARDING_SHARDINGPROBLEM_H

#include "PinTable.h"
#include "Recomputation.h"
#include "SearchDemands.h"
#include "StrategySpace.h"
#include "tpc/Sharding/Assignment.h"
#include "tpc/Sharding/Solver/Problem.h"
#include "llvm/ADT/MapVector.h"

namespace tpc {

class ShardingProblem {
public:
  ShardingProblem(mlir::ModuleOp module, StrategySpace &space,
                  ReshardPlanner &planner, const PinTable &pins,
                  const AssignOptions &options);
  ~ShardingProblem();

  /// Builds the problem under the pins that count, which must leave every place
  /// a sharding. Emits errors at what cannot be assigned.
  mlir::LogicalResult build(bool withMemory, const llvm::BitVector &pins);
  const solver::Problem &problem() const { return built; }
  /// The shardings that there are for a parameter or state, an argument or
  /// result of an operation, a result of an entry (by return operation and
  /// number); each once.
  std::vector<Sharding> choicesFor(mlir::StringAttr symbol) const;
  std::vector<Sharding> choicesFor(mlir::Value value) const;
  std::vector<Sharding> choicesFor(mlir::Operation *ret, unsigned index) const;

  /// The problem with what is demanded besides; nothing where some node has no
  /// value left.
  std::optional<solver::Problem> under(const SearchDemands &demands) const;

  /// A choice of under() that changes an assignment only where it must; nothing
  /// where that does not suffice.
  std::optional<solver::Choice> nearest(const solver::Problem &problem,
                                        const Assignment &assignment) const;

  Assignment assignment(const solver::Choice &choice) const;
  /// The choice that an assignment is, or nothing if it is not in the space.
  std::optional<solver::Choice> choice(const Assignment &assignment) const;
  /// The first value of every node: nothing is split that need not be.
  std::optional<solver::Choice> replicated() const;

private:
  std::optional<solver::Choice> withCopies(const solver::Problem &problem,
                                           solver::Choice found) const;
  /// The shardings of tensors of one shape and element size, numbered.
  struct TensorSpace;
  /// When a value is read, by first and last time.
  struct Reads;
  /// For every value of a node, the sharding that it gives to or wants of a
  /// tensor.
  struct Port {
    TensorSpace *space;
    std::vector<unsigned> shardings;
    /// The value is made in any sharding that is not partial for free.
    bool isFree = false;
    /// From this value on the operation is computed again for gradients.
    unsigned firstAgain = ~0u;
    bool isAgain(unsigned value) const { return value >= firstAgain; }
  };
  struct Maker {
    unsigned node;
    const Port *port;
  };
  struct User {
    unsigned node;
    const Port *port;
    int64_t time;
  };
  struct NodeInfo;
  /// An edge that prices reshards of a value: to what a user wants, or, without
  /// a user's port, to one target.
  struct Crossing {
    unsigned edge;
    const Port *from;
    const Port *to;
    unsigned target;
  };
  static constexpr unsigned kSingleCopy = ~0u;
  static constexpr size_t kManyUsers = 8;

  void addSymbols();
  mlir::LogicalResult addFunction(mlir::func::FuncOp function);
  void addArgument(mlir::BlockArgument argument);
  mlir::LogicalResult addOp(mlir::Operation *op);
  void addRuled(mlir::Operation *op);
  void addShard(ShardOp op);
  void addReturn(mlir::func::ReturnOp op);
  void addUses(mlir::Value value, llvm::ArrayRef<User> users);
  Reads readsOf(mlir::Value value, llvm::ArrayRef<User> users) const;
  void addValueMemory(mlir::Value value, const Maker &maker,
                      const Reads &reads);
  void addAgain(mlir::Operation *op, unsigned node);
  /// The sharding to which a value of a copy brings it twice.
  std::optional<unsigned> resentTo(unsigned copy, unsigned value) const;
  void addCopies(const Maker &maker, llvm::ArrayRef<User> users,
                 mlir::Value value, const Reads &reads);
  void addSingleCopy(const Maker &maker, const User &user, mlir::Value value,
                     const Reads &reads);

  bool staysAsItIs(mlir::Value value);
  void addTie(const struct Tie &tie);
  bool allows(const NodeInfo &node, unsigned value,
              const SearchDemands &demands) const;
  bool isSilent(mlir::Operation *op, unsigned value) const;
  solver::CostTable without(const solver::CostTable &costs,
                            const Crossing &crossing, unsigned held,
                            unsigned wanted) const;
  void addCrossing(mlir::Value value, const Maker &maker, const Port *to,
                   unsigned target = 0);

  unsigned addNode(NodeInfo info, std::vector<solver::Cost> costs);
  void addEdge(unsigned from, unsigned to, solver::CostTable costs);
  const Port *port(mlir::Type type, llvm::ArrayRef<Sharding> shardings,
                   bool isFree = false, unsigned firstAgain = ~0u);
  const Port *port(TensorSpace *space, std::vector<unsigned> shardings,
                   bool isFree, unsigned firstAgain);
  TensorSpace *tensorSpace(mlir::Type type);
  /// The user takes what the maker gives.
  solver::CostTable equalTable(const Port *from, const Port *to);
  /// The price of resharding for one of `shares` users that are assumed to
  /// want the same.
  solver::CostTable reshardTable(const Port *from, const Port *to,
                                 size_t shares = 1);
  /// Time to bring what `from` holds to a target.
  double micros(const Port *from, unsigned held, unsigned wanted);
  static std::vector<Sharding> shardingsOf(const Port *port);
  const Sharding &chosen(const Port *port, unsigned value) const;
  /// Whether an operation is computed again, or kept for others to be.
  static bool isAgain(const NodeInfo &node, const Assignment &assignment);
  /// The value of a node, no copy, that an assignment means.
  std::optional<unsigned> valueOf(const NodeInfo &node,
                                  const Assignment &assignment) const;
  /// The shardings that the pins leave a place.
  const Port *port(const Place &place);
  /// The numbers of the strategies that axis rules leave an operation.
  std::vector<unsigned>
  allowedStrategies(mlir::Operation *op,
                    const StrategySpace::Strategies &strategies) const;
  std::vector<unsigned> valuesOf(mlir::Operation *op);
  /// For which values of a node its memory counts.
  enum Counted { Always, IfKept, IfComputedAgain };
  void addMemory(unsigned node, const Port *port, solver::Interval live,
                 Counted counted = Always);
  solver::Cost toCost(double micros) const;

  mlir::ModuleOp module;
  StrategySpace &space;
  ReshardPlanner &planner;
  const Mesh &mesh;
  const PinTable &pins;
  const AssignOptions &options;

  solver::Problem built;
  bool withMemory = false;
  llvm::BitVector activePins;
  double weight = 1;
  int64_t time = 0;
  unsigned part = 0; ///< number of the function
  std::vector<NodeInfo> nodes;
  /// Of the function at hand, with memory.
  std::optional<Recomputation> recomputation;
  int64_t functionBegin = 0;
  llvm::DenseMap<mlir::Value, Maker> makers;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<User, 2>> uses;
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Crossing, 1>> crossings;
  llvm::DenseMap<mlir::Operation *, int64_t> times;
  llvm::MapVector<mlir::StringAttr, unsigned> symbolNodes;
  struct Tables;
  std::unique_ptr<Tables> tables;
};

} // namespace tpc

#endif // TPC_LIB_SHARDING_SHARDINGPROBLEM_H
