//===- Pipeline.h - The phases in order -------------------------*- C++ -*-===//

#ifndef TPC_PIPELINE_PIPELINE_H
#define TPC_PIPELINE_PIPELINE_H

#include "mlir/IR/MLIRContext.h"

namespace tpc {

/// Registers every dialect that a module may contain in any phase.
void registerDialects(mlir::DialectRegistry &registry);
/// A context for one thread with these dialects loaded; diagnostics do not
/// print the operation that they are about.
class CompilerContext : public mlir::MLIRContext {
public:
  CompilerContext();
};

/// Registers every pass under its name, for tpc-opt.
void registerPasses();
/// Registers the phases as named pipelines, for tpc-opt.
void registerPipelines();

} // namespace tpc

#endif // TPC_PIPELINE_PIPELINE_H
