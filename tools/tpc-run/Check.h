//===- Check.h - Comparison with the unsharded program ----------*- C++ -*-===//

#ifndef TPC_TOOLS_TPCRUN_CHECK_H
#define TPC_TOOLS_TPCRUN_CHECK_H

#include "tpc/Driver/Generator.h"
#include "tpc/Pipeline/Report.h"
#include "tpcrt/TensorSpec.h"

namespace tpc {

/// Whether a comparison can be made and says something: no input has a NaN,
/// which would hide what is compared, and the reference evaluator, which holds
/// every element in 8 bytes, has the memory for the module's parameters and
/// states and its largest operation.
tpcrt::Result<void>
checkComparable(mlir::ModuleOp module,
                const std::vector<tpcrt::NamedTensor> &inputs);

/// Evaluates the whole functions of `module` that were called with the
/// reference evaluator, one after the other from empty states, and compares.
/// An output is right when no element differs by more than its type's tolerance
/// (tensorTolerance) times the largest magnitude in the output. Emits an error
/// when the evaluation fails.
mlir::FailureOr<CheckSummary> checkCalls(mlir::ModuleOp module,
                                         const std::vector<Call> &calls,
                                         const tpcrt::WeightSource &weights);

} // namespace tpc

#endif // TPC_TOOLS_TPCRUN_CHECK_H
