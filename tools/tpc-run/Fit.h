//===- Fit.h - On how many devices a model belongs --------------*- C++ -*-===//

#ifndef TPC_TOOLS_TPCRUN_FIT_H
#define TPC_TOOLS_TPCRUN_FIT_H

#include "Options.h"
#include "mlir/IR/MLIRContext.h"

namespace tpc {

/// Assigns the model on every mesh of up to `options.fitDevices` devices, shows
/// memory and predicted time of each, and recommends one (docs/fit.md). Writes
/// `options.report`, if any. Returns the exit code; that nothing fits is an
/// answer, not an error.
int fitModel(mlir::MLIRContext &context, const RunOptions &options);

} // namespace tpc

#endif // TPC_TOOLS_TPCRUN_FIT_H
