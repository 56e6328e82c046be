//===- Simulator.h - All devices of a per-device program --------*- C++ -*-===//
//
// Runs a spmd.program on every device of the mesh in lockstep, one operation
// after the other. Whole inputs, parameters and states are cut into blocks by
// their shardings with zero padding (as the runtime loads them); outputs and
// states are put together again.
//
// Padding that nobody may rely on exists where spmd.slice (or the slicing
// inside reduce_scatter and all_to_all) reads past the end of its operand.
// With `poisonPadding` that becomes NaN (a huge value in integers): a program
// that reads it gives wrong results instead of accidentally right ones.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_REFERENCE_SIMULATOR_H
#define TPC_REFERENCE_SIMULATOR_H

#include "tpc/Dialect/Spmd/Spmd.h"
#include "tpc/Reference/Evaluator.h"

namespace tpc::reference {

struct SimulateOptions {
  bool poisonPadding = false;
  /// By how much devices that hold the same elements may differ; 0: not in a
  /// single bit.
  double tolerance = 0;
};

/// Runs `program` on whole inputs and returns its whole results; writes states
/// back to `symbols`. Emits an error when inputs do not fit, an operation is
/// unknown or replicas disagree.
mlir::FailureOr<llvm::SmallVector<Tensor>>
simulate(spmd::ProgramOp program, llvm::ArrayRef<Tensor> wholeInputs,
         SymbolStore &symbols, const SimulateOptions &options = {});

} // namespace tpc::reference

#endif // TPC_REFERENCE_SIMULATOR_H
