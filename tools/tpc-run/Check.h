//===- Check.h - Comparison with the unsharded program ----------*- C++ -*-===//

#ifndef TPC_TOOLS_TPCRUN_CHECK_H
#define TPC_TOOLS_TPCRUN_CHECK_H

#include "mlir/Interfaces/FunctionInterfaces.h"
#include "tpc/Pipeline/Report.h"
#include "tpcrt/HostTensor.h"
#include "tpcrt/Safetensors.h"

namespace tpc {

/// Evaluates the whole function with the reference evaluator and compares. An
/// output is right when no element differs by more than its type's tolerance
/// (tensorTolerance) times the largest magnitude in the output. Emits an error
/// when the evaluation fails.
mlir::FailureOr<CheckSummary>
checkOutputs(mlir::FunctionOpInterface function,
             const std::vector<tpcrt::HostTensor> &inputs,
             const std::vector<tpcrt::HostTensor> &outputs,
             const tpcrt::WeightSource &weights);

} // namespace tpc

#endif // TPC_TOOLS_TPCRUN_CHECK_H
