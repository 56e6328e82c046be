//===- Exhaustive.cpp - The optimum by trying every choice ----------------===//

#include "tpc/Sharding/Solver/Solver.h"
#include <chrono>

using namespace tpc::solver;

SolverResult tpc::solver::solveExhaustively(const Problem &problem) {
  auto start = std::chrono::steady_clock::now();
  SolverResult result;
  result.before = result.after = {problem.nodes.size(), problem.numValues()};
  result.status = Status::Infeasible;
  result.limitedBy = "infeasibility";
  Choice choice(problem.nodes.size());
  // Counts like an odometer, the last node fastest.
  size_t turned = 0;
  do {
    Price current = price(problem, choice);
    if (current.feasible &&
        (result.choice.empty() || current.cost < result.cost)) {
      result.status = Status::Optimal;
      result.limitedBy = "optimality";
      result.choice = choice;
      result.cost = result.bound = current.cost;
    }
    turned = choice.size();
    while (turned > 0 && ++choice[turned - 1] == problem.numValues(turned - 1))
      choice[--turned] = 0;
  } while (turned > 0);
  result.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count();
  return result;
}
