//===- Optimizer.h - The assignment that takes the least time ---*- C++ -*-===//
//
// States the choice as a problem, solves it, and reads the assignment off the
// solution. Memory is left out at first: if the best assignment keeps the
// limit anyhow, it is the best of all. Only otherwise memory enters the
// problem, with the copies that resharding makes.
//
// Once the problem is stated it can be asked for the best assignment under
// further demands, as often as wanted: "what if this were replicated?"
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_OPTIMIZER_H
#define TPC_LIB_SHARDING_OPTIMIZER_H

#include "ShardingProblem.h"
#include "tpc/Sharding/Prediction.h"
#include "tpc/Sharding/Solver/Solver.h"

namespace tpc {

class Optimizer : public Assigner {
public:
  explicit Optimizer(const AssignOptions &options);
  ~Optimizer() override;

  mlir::FailureOr<Assignment> assign(mlir::ModuleOp module,
                                     const Mesh &mesh) override;

  /// Reads pins and states the problem. Emits an error where there is none.
  mlir::LogicalResult open(mlir::ModuleOp module, const Mesh &mesh);

  const ShardingProblem &problem() const;
  StrategySpace &space();
  ReshardPlanner &planner();

  struct Candidate {
    Assignment assignment;
    PlanPrice price;
  };
  struct Answer {
    enum Kind {
      Found,
      Impossible, ///< proven: nothing meets the demands
      TooLarge,   ///< proven: nothing that meets them keeps the limit
      OutOfTime
    } kind = OutOfTime;
    std::optional<Candidate> best = std::nullopt;
    /// Found: whether nothing better meets the demands.
    bool isProven = false;
  };
  /// The best that meets the demands, searched for no longer than so many
  /// seconds, from `near` where that is given. After open().
  Answer bestUnder(const SearchDemands &demands, double timeLimit,
                   const Assignment *near = nullptr);

private:
  /// What the other modes find, if they find anything.
  struct Known {
    std::optional<Candidate> megatron, propagation;
  };
  Known knownPlans() const;
  std::optional<Candidate> bestKnown(const Known &known,
                                     bool withinLimit) const;
  PlanPrice price(const Assignment &assignment) const;
  bool fits(const PlanPrice &price) const;
  mlir::LogicalResult stateWithMemory();
  int64_t leastStoredBytes() const;
  mlir::FailureOr<Candidate> solve(const ShardingProblem &problem,
                                   const Known &known, bool withMemory,
                                   const Assignment *unlimited = nullptr);
  void keepLimit(const ShardingProblem &problem, solver::Problem tighter,
                 const solver::SolverOptions &solverOptions,
                 solver::SolverResult &result) const;
  llvm::BitVector memoryConflict(const llvm::BitVector &all);
  mlir::LogicalResult reportNoneFound(bool isProven) const;
  mlir::LogicalResult reportNoneFits();
  llvm::BitVector allPins() const;

  AssignOptions options;
  /// What a module's problem is made of.
  struct Statement;
  std::unique_ptr<Statement> stated;
};

} // namespace tpc

#endif // TPC_LIB_SHARDING_OPTIMIZER_H
