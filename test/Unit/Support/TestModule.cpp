//===- TestModule.cpp - Modules in unit tests -----------------------------===//

#include "TestModule.h"
#include "mlir/Parser/Parser.h"
#include "tpc/Pipeline/Compiler.h"
#include "tpc/Pipeline/Pipeline.h"
#include "gtest/gtest.h"

using namespace mlir;
using namespace tpc;

MLIRContext &test::context() {
  static MLIRContext *context = [] {
    DialectRegistry registry;
    registerDialects(registry);
    auto *context = new MLIRContext(registry, MLIRContext::Threading::DISABLED);
    context->loadAllAvailableDialects();
    return context;
  }();
  return *context;
}

OwningOpRef<ModuleOp> test::parse(const std::string &text) {
  auto module = parseSourceString<ModuleOp>(text, &context());
  if (!module)
    ADD_FAILURE() << "not a legal module:\n" << text;
  return module;
}

OwningOpRef<ModuleOp> test::emptyModule(const std::string &mesh) {
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context()));
  std::string error;
  if (failed(setMesh(*module, mesh, error)))
    ADD_FAILURE() << error;
  return module;
}

LogicalResult test::runPass(ModuleOp module, std::unique_ptr<Pass> pass) {
  PassManager pm(module.getContext());
  pm.addPass(std::move(pass));
  return pm.run(module);
}

static bool isKnown(Location location) { return !isa<UnknownLoc>(location); }

test::Diagnostics::Diagnostics()
    : handler(&context(), [this](Diagnostic &diagnostic) {
        text += diagnostic.str() + "\n";
        bool noted = false;
        for (Diagnostic &note : diagnostic.getNotes()) {
          text += "  note: " + note.str() + "\n";
          noted |= isKnown(note.getLocation());
        }
        if (diagnostic.getSeverity() == DiagnosticSeverity::Error) {
          ++errors;
          located += noted && isKnown(diagnostic.getLocation());
        }
        return success();
      }) {}
