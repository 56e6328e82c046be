//===- Solver.h - The best choice, and how good it is -----------*- C++ -*-===//
//
// The one way into the solver. It returns a choice and a proven lower bound;
// they meet where the answer is optimal, which they do on the graphs of
// models: there exact reductions leave little, and what is left is eliminated
// exactly, alike parts once.
//
// Larger problems are bounded and searched until the time is up. The sequence
// of improvements depends on the problem and the options alone; the time limit
// only cuts it off, so an answer that is not cut off is the same everywhere.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_SHARDING_SOLVER_SOLVER_H
#define TPC_SHARDING_SOLVER_SOLVER_H

#include "tpc/Sharding/Solver/Problem.h"

namespace tpc::solver {

struct SolverOptions {
  /// Wall-clock seconds.
  double timeLimit = 60;
  /// A choice that is known already: the answer is never worse. Empty: none.
  Choice start;
  /// An optimum of the problem without its memory limit, where one is known.
  Choice unlimited;
};

enum class Status {
  Optimal,    ///< cost == bound
  Feasible,   ///< a choice, not proven optimal
  Infeasible, ///< proven: no choice is feasible
  Unknown     ///< no choice found in the time given
};

/// What the reductions left to search.
struct ProblemSize {
  size_t nodes = 0;
  size_t values = 0;
};

struct SolverResult {
  Status status = Status::Unknown;
  /// Empty without a feasible choice.
  Choice choice;
  WideCost cost = 0;
  /// No feasible choice costs less. Meaningless when infeasible.
  WideCost bound = 0;
  ProblemSize before, after;
  double seconds = 0;
  /// What ended the search: "optimality", "time limit", "infeasibility", "a
  /// small gap" (at most 0.1 %, after a tenth of the time), or
  /// "rounding of costs": where all costs add up to 2^55 or more, their lowest
  /// digits are not looked at.
  std::string limitedBy;

  /// (cost - bound) / cost; 0 when optimal, 1 without a choice.
  double gap() const;
};

/// Solves a problem that passes Problem::check().
SolverResult solve(const Problem &problem, const SolverOptions &options = {});

/// Whether any choice is feasible, and one that is: with a memory limit that is
/// found, or not, much sooner than the best.
SolverResult findFeasible(const Problem &problem, double timeLimit);

/// The optimum by trying every choice; the oracle of the tests. The problem
/// must have at most 2^24 choices.
SolverResult solveExhaustively(const Problem &problem);

} // namespace tpc::solver

#endif // TPC_SHARDING_SOLVER_SOLVER_H
