//===- Parts.h - Problems that hang together by few nodes -------*- C++ -*-===//
//
// The entries of a model (prefill, decode) share parameters and nothing else.
// Alone each is a narrow graph; together they are a ladder that no elimination
// gets through. Let every part choose the shared nodes for itself:
//
//   optimum of the parts, added up  <=  optimum of the whole
//
// and where the parts choose alike, their choices are the optimum. Where they
// differ, costs move between the copies of a shared node: what a value costs a
// part more than its best (its marginal) is paid half by the other, so that
// each comes to see what the other's choice would cost it. The bound holds
// whatever moves (Lagrangian decomposition; Guignard and Kim 1987). Repeated
// layers disagree alike and come to agree at once.
//
// Memory is not looked at.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_PARTS_H
#define TPC_LIB_SHARDING_SOLVER_PARTS_H

#include "Exact.h"
#include "tpc/Sharding/Solver/Solver.h"

namespace tpc::solver {

/// Solves the parts of a problem (Problem::parts; one without is one part) by
/// elimination and brings them to agree. `size` is what the reductions left of
/// the parts. Nothing if a part alone is too much.
std::optional<ExactResult> solveParts(const Problem &problem, Deadline deadline,
                                      ProblemSize &size);

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_PARTS_H
