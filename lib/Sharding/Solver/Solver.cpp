//===- Solver.cpp - Reduces, eliminates, searches -------------------------===//

#include "tpc/Sharding/Solver/Solver.h"
#include "Presolve.h"

using namespace tpc::solver;

double SolverResult::gap() const {
  if (choice.empty() && status != Status::Optimal)
    return 1;
  if (cost == bound)
    return 0;
  if (cost == 0)
    return 1;
  double magnitude = static_cast<double>(cost < 0 ? -cost : cost);
  return static_cast<double>(cost - bound) / magnitude;
}

SolverResult tpc::solver::solve(const Problem &problem,
                                const SolverOptions &options) {
  Clock::time_point start = Clock::now();
  SolverResult result;
  result.before = {problem.nodes.size(), problem.numValues()};
  Presolved presolved = presolve(problem, after(options.timeLimit));
  result.after = {presolved.problem.nodes.size(),
                  presolved.problem.numValues()};
  result.choice = options.start;
  result.limitedBy = "time limit";
  result.seconds = secondsSince(start);
  return result;
}
