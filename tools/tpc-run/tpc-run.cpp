//===- tpc-run.cpp - Compiles a model for a mesh and runs it --------------===//

#include "Inputs.h"
#include "Options.h"
#include "mlir/IR/Verifier.h"
#include "tpc/Pipeline/Compiler.h"
#include "tpc/Pipeline/Pipeline.h"
#include "tpc/Pipeline/Report.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"
#include <chrono>

using namespace mlir;
using namespace tpc;

namespace {

/// One run of the tool: the phases in order, and what they amount to.
class Session {
public:
  Session(MLIRContext &context, const RunOptions &options)
      : context(context), options(options) {
    report.mode = options.mode;
  }

  int run() {
    if (!readInputs() || !importModel() || emitted("whole") || !assign() ||
        emitted("assigned") || !partition() || emitted("program"))
      return code;
    return 0;
  }

private:
  bool fail(const Twine &message) {
    llvm::errs() << "tpc-run: " << message << "\n";
    code = 1;
    return false;
  }
  bool failQuietly() {
    code = 1;
    return false;
  }

  /// Prints the module and ends the run if the user wants to see this form.
  bool emitted(StringRef form) {
    if (options.emit != form)
      return false;
    module->print(llvm::outs());
    llvm::outs() << "\n";
    return true;
  }

  template <typename Fn> bool timed(StringRef phase, Fn fn) {
    auto begin = std::chrono::steady_clock::now();
    bool ok = fn();
    std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - begin;
    report.seconds.push_back({phase.str(), elapsed.count()});
    return ok;
  }

  bool readInputs() {
    auto result = readGiven(options);
    if (!result)
      return fail(result.error().message);
    given = std::move(*result);
    return true;
  }

  bool importModel() {
    return timed("import", [&] {
      module = loadModel(&context, options, given);
      if (!module)
        return failQuietly();
      std::string error;
      bool hasMesh = !module->getOps<MeshOp>().empty();
      if (options.mesh || !hasMesh)
        if (failed(setMesh(*module, options.mesh.value_or("tp=1"), error)))
          return fail(error);
      if (failed(mlir::verify(*module)))
        return failQuietly();
      return true;
    });
  }

  bool phase(StringRef name,
             llvm::function_ref<void(OpPassManager &)> build) {
    return timed(name, [&] {
      return succeeded(runPhase(*module, build)) || failQuietly();
    });
  }

  bool assign() {
    return phase("assign", [&](OpPassManager &pm) {
      buildAssignPhase(pm, options.mode);
    });
  }

  bool partition() { return phase("partition", buildPartitionPhase); }

  MLIRContext &context;
  const RunOptions &options;
  Given given;
  OwningOpRef<ModuleOp> module;
  Report report;
  int code = 0;
};

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  RunOptions options = parseOptions(argc, argv);
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  context.loadAllAvailableDialects();
  return Session(context, options).run();
}
