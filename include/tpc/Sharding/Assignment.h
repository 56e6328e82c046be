//===- Assignment.h - Which sharding every value has ------------*- C++ -*-===//
//
// What a mode of assignment decides: for every operation one strategy of its
// rule, for every parameter, state, argument and result the sharding in which
// it is held. A value is held as the operation that makes it leaves it; an
// operation that wants it otherwise gets it through a reshard.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_ASSIGNMENT_H
#define TPC_SHARDING_ASSIGNMENT_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "tpc/Sharding/Machine.h"
#include "tpc/Sharding/Pins.h"
#include "tpc/Sharding/PlanText.h"
#include "tpc/Sharding/Strategies.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringMap.h"

namespace tpc {

/// How the optimizer found an assignment.
struct SearchSummary {
  double costMicros = 0;
  double lowerBoundMicros = 0;
  /// (cost - bound) / cost.
  double gap = 0;
  /// Of the problem: as stated, and after reductions.
  int64_t nodes = 0, strategies = 0;
  int64_t reducedNodes = 0, reducedStrategies = 0;
  /// "optimality"; what the solver says; "values with many users", whose
  /// reshards the bound undercounts; or "strategies of another mode": its
  /// assignment is better than all in the optimizer's space, for which the
  /// bound holds.
  std::string limitedBy;
};

/// Leaves the summary on the module as the attribute `tpc.search`.
void setSearchSummary(mlir::ModuleOp module, const SearchSummary &summary);
/// The summary that a module carries, or nothing.
std::optional<SearchSummary> searchSummary(mlir::ModuleOp module);

struct Assignment {
  /// In which sharding each argument and operation result is held.
  llvm::DenseMap<mlir::Value, Sharding> held;
  /// In which sharding each operation takes its operands.
  llvm::DenseMap<mlir::Operation *, llvm::SmallVector<Sharding, 3>> wanted;
  /// Parameters and states.
  llvm::DenseMap<mlir::StringAttr, Sharding> symbols;
  /// Operations whose results are not kept for the gradients that read them,
  /// but computed again there.
  llvm::DenseSet<mlir::Operation *> again;
  /// Shardings (canonical) to which a value is brought twice: for those who
  /// read it first, and again for gradients.
  llvm::DenseMap<mlir::Value, llvm::SmallVector<Sharding, 1>> resentAgain;
  /// Of mode `auto`.
  std::optional<SearchSummary> search;
};

/// Puts what is computed or resharded again where gradients need it, as
/// operations and values of their own (`tpc.again`).
void placeRecomputation(mlir::ModuleOp module, Assignment &assignment);

/// What assignment is asked for.
struct AssignOptions {
  std::string mode = "auto";
  /// In place of a mode.
  std::optional<PlanText> plan;
  Machine machine;
  /// Bytes on one device; nothing: not limited.
  std::optional<int64_t> memoryLimit;
  /// How often each entry is called, relative to the others; 1 if not given.
  llvm::StringMap<double> weights;
  /// Pins beside those in the module.
  std::vector<PinRequest> pins;
  /// Bytes per element of a parameter with a gradient that are needed beside
  /// the program and split like the parameter: what an optimizer keeps.
  int64_t optimizerBytes = 0;
  /// Seconds that the optimizer may search.
  double timeLimit = 20;
  /// File to write the optimizer's problem to, in the format of tpc-solve;
  /// empty: none.
  std::string dumpProblem;

  double weightOf(llvm::StringRef entry) const {
    auto it = weights.find(entry);
    return it == weights.end() ? 1 : it->second;
  }
};

/// A mode of assignment. Analysis only: the module is not changed.
class Assigner {
public:
  virtual ~Assigner() = default;
  /// Emits an error at the operation that cannot be assigned.
  virtual mlir::FailureOr<Assignment> assign(mlir::ModuleOp module,
                                             const Mesh &mesh) = 0;
};

/// `megatron`: axes whose name begins with "dp" or "data" split the batch (the
/// first dimension of every argument); every other axis splits weights: the
/// vocabulary of a table, the output (column) of a matmul on a whole
/// activation, the input (row) of one on an activation that is already split
/// there, whose partial result is reduced at once.
std::unique_ptr<Assigner> createMegatronAssigner();

/// `propagate`: spreads the pins (`tpc.sharding`, `tpc.shard`) through the
/// rules, forwards and backwards; the first to reach a value decides.
std::unique_ptr<Assigner> createPropagationAssigner();

/// `auto`: the assignment whose predicted time on the machine is least, with a
/// proven bound. Never worse than `megatron` under the model.
std::unique_ptr<Assigner> createOptimizer(const AssignOptions &options);

/// The assigner of a plan, or of a mode by name, or null.
std::unique_ptr<Assigner> createAssigner(const AssignOptions &options);
/// "auto, megatron, propagate"
std::string assignmentModes();

/// Whether an operation is made anew in every sharding in which its result is
/// wanted, rather than resharded: constants of one repeated value, iota.
bool isMadeAnywhere(mlir::Operation *op);

/// The pinned sharding of an argument, result, parameter or state, or null.
ShardingAttr pinnedSharding(mlir::Operation *symbol);

} // namespace tpc

#endif // TPC_SHARDING_ASSIGNMENT_H
