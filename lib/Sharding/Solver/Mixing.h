//===- Mixing.h - A choice between two choices ------------------*- C++ -*-===//
//
// One choice is cheap but takes too much memory, another fits but is dear, and
// both are alike but for nodes here and there: a layer computes its values
// again in one and keeps them in the other. Where such groups of nodes have no
// edges between them, any of them can go over alone:
//
//   cheap   k k k k k k      40 GiB    100
//   fitting a a a a a a      10 GiB    106
//   mixed   a a a k k k      25 GiB    103
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_SOLVER_MIXING_H
#define TPC_LIB_SHARDING_SOLVER_MIXING_H

#include "tpc/Sharding/Solver/Problem.h"

namespace tpc::solver {

/// A feasible choice that takes each group of nodes from one of the two: groups
/// go over from `cheap` in the order of what they cost per byte of the fullest
/// time, until the rest may stay. Neither must be forbidden.
Choice mix(const Problem &problem, const Choice &cheap, const Choice &fitting);

/// When most memory is in use.
int64_t fullestTime(const Problem &problem, const Choice &choice);
/// Bytes in use at a time.
int64_t bytesAt(const Problem &problem, const Choice &choice, int64_t time);

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_MIXING_H
