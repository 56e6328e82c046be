//===- PinConflicts.h - Which pins contradict each other --------*- C++ -*-===//
//
// A contradiction is reported as pins of which none can be left out: without
// any one of them there is an assignment. Two kinds exist: pins that leave a
// place no sharding, and pins that leave no assignment within the memory limit.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_SHARDING_PINCONFLICTS_H
#define TPC_LIB_SHARDING_PINCONFLICTS_H

#include "PinTable.h"
#include "StrategySpace.h"

namespace tpc {

/// Up to so many pins a smallest conflict is found.
constexpr unsigned kSmallestUpTo = 20;

/// Whether pins contradict each other. More pins never contradict less.
using ConflictTest = llvm::function_ref<bool(const llvm::BitVector &)>;

/// Of `candidates`, which contradict each other, some of which none can be left
/// out; of up to kSmallestUpTo candidates as few as possible. Where the test
/// fails to see a contradiction (out of time), the answer still is one, but
/// may be larger.
llvm::BitVector smallestConflict(const llvm::BitVector &candidates,
                                 ConflictTest contradict);

/// Emits an error at the first of the pins that leave some place no sharding,
/// with notes at the others, if there are such.
mlir::LogicalResult checkPlaces(const PinTable &table,
                                const StrategySpace &space);

/// Emits an error at the first of the pins, which leave no assignment within
/// the limit in bytes, with notes at the others.
mlir::InFlightDiagnostic reportMemoryConflict(mlir::ModuleOp module,
                                              const PinTable &table,
                                              const llvm::BitVector &pins,
                                              int64_t limit);

} // namespace tpc

#endif // TPC_LIB_SHARDING_PINCONFLICTS_H
