//===- Inputs.h - What the user gives a model -------------------*- C++ -*-===//

#ifndef TPC_TOOLS_TPCRUN_INPUTS_H
#define TPC_TOOLS_TPCRUN_INPUTS_H

#include "Options.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "tpcrt/Safetensors.h"
#include "tpcrt/TensorSpec.h"

namespace tpc {

/// What the command line names: inputs read, weights opened, and the files to
/// write, which can be written.
struct Given {
  std::vector<tpcrt::NamedTensor> inputs;
  std::vector<tpcrt::OutputSpec> outputs;
  std::optional<tpcrt::WeightSource> weights;
};

/// Reads the inputs, opens the weights, and tries the output files.
tpcrt::Result<Given> readGiven(const RunOptions &options);

/// Parses or imports the model. Errors are emitted; null then.
mlir::OwningOpRef<mlir::ModuleOp> loadModel(mlir::MLIRContext *context,
                                            const RunOptions &options,
                                            const Given &given);

} // namespace tpc

#endif // TPC_TOOLS_TPCRUN_INPUTS_H
