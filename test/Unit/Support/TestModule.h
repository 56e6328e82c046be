//===- TestModule.h - Modules in unit tests ---------------------*- C++ -*-===//

#ifndef TPC_TEST_UNIT_SUPPORT_TESTMODULE_H
#define TPC_TEST_UNIT_SUPPORT_TESTMODULE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Pass/PassManager.h"
#include "tpc/Dialect/Tpc/Tpc.h"

namespace tpc::test {

/// The context of all tests of a process, with every dialect loaded.
mlir::MLIRContext &context();

/// The module that `text` spells out, or null after a test failure.
mlir::OwningOpRef<mlir::ModuleOp> parse(const std::string &text);

/// A module with the mesh that "dp=2,tp=4" describes and nothing else.
mlir::OwningOpRef<mlir::ModuleOp> emptyModule(const std::string &mesh);

/// Runs one pass, or the phases that `build` adds.
mlir::LogicalResult runPass(mlir::ModuleOp module,
                            std::unique_ptr<mlir::Pass> pass);

/// Collects diagnostics while it lives, instead of printing them.
class Diagnostics {
public:
  Diagnostics();
  /// Errors with the notes below them, one per line.
  std::string text;
  /// Errors at a known location that carry a note at a known location.
  unsigned located = 0;
  unsigned errors = 0;

private:
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace tpc::test

#endif // TPC_TEST_UNIT_SUPPORT_TESTMODULE_H
