//===- Diagnostics.h - MLIR's diagnostics as text ---------------*- C++ -*-===//

#ifndef TPC_DRIVER_DIAGNOSTICS_H
#define TPC_DRIVER_DIAGNOSTICS_H

#include "mlir/IR/Diagnostics.h"
#include "tpcrt/Error.h"
#include <string>

namespace tpc {

/// "mlp.mlir:4:9: mlp.down: error: ...", notes on lines of their own. `nowhere`
/// stands in place of a location that says nothing.
std::string diagnosticText(mlir::Diagnostic &diagnostic,
                           llvm::StringRef nowhere = "");

/// From now on they are printed, on the error output, by the tool of this name.
void printDiagnostics(mlir::MLIRContext &context, llvm::StringLiteral tool);

/// Takes the diagnostics of a context while it lives.
class DiagnosticCollector {
public:
  explicit DiagnosticCollector(mlir::MLIRContext *context);

  /// All of them as one error.
  tl::unexpected<tpcrt::Error> error() const;

private:
  std::string text;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace tpc

#endif // TPC_DRIVER_DIAGNOSTICS_H
