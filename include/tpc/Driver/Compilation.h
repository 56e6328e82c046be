//===- Compilation.h - A module on its way to an artifact -------*- C++ -*-===//
//
// The phases of a compile in order, with what each takes and what comes out of
// it in one report. Tools stop between phases; everybody else calls compile().
//
//===----------------------------------------------------------------------===//

#ifndef TPC_DRIVER_COMPILATION_H
#define TPC_DRIVER_COMPILATION_H

#include "mlir/IR/OwningOpRef.h"
#include "tpc/Pipeline/Compiler.h"
#include "tpc/Pipeline/Report.h"
#include "tpc/Target/Artifact.h"
#include "tpcrt/Artifact.h"

namespace tpc {

struct CompileOptions {
  /// "dp=2,tp=4"; nothing: the module's mesh, or one device.
  std::optional<std::string> mesh;
  AssignPhaseOptions assign;
  /// The entry that the report's splits and collectives are of; empty: the
  /// first.
  std::string entry;
  /// What the report explains.
  std::optional<ExplainRequest> explain;
  /// Whether planFile() is wanted.
  bool writePlan = false;
  /// Whether the report says how each value lies.
  bool reportValues = false;
  /// "cpu" or "cuda": what all devices of the mesh are.
  std::string device = "cpu";
  /// What kernels are compiled for (EmitOptions); empty: the default.
  std::vector<std::string> isas;
  /// For messages and as the artifact's name.
  std::string name = "module";
  /// Threads of the process that will load it, for the memory that it reserves;
  /// 0: one per core.
  unsigned threads = 0;
};

class Compilation {
public:
  /// `module` is in the whole form; `report` may hold what came before.
  Compilation(mlir::OwningOpRef<mlir::ModuleOp> module, CompileOptions options);

  // The phases, in this order; all but the first and `measureUnsharded` are
  // needed. Each emits errors.
  mlir::LogicalResult setMesh();
  /// Plans the same module for one device, for comparison in the report.
  mlir::LogicalResult measureUnsharded();
  mlir::LogicalResult assign();
  mlir::LogicalResult partition();
  mlir::LogicalResult verify();
  /// Kernels and memory.
  mlir::LogicalResult plan();
  mlir::FailureOr<tpcrt::ArtifactBytes> emit();

  /// Before assign(): follows a plan in place of what the options say.
  void follow(PlanText plan) { options.assign.plan = std::move(plan); }

  /// All phases.
  mlir::FailureOr<tpcrt::ArtifactBytes> compile();

  mlir::ModuleOp module() { return *owned; }
  Report &report() { return summary; }
  /// What was decided, as the text of a plan file.
  const std::string &planFile() const { return planText; }

private:
  mlir::LogicalResult phase(llvm::StringRef name,
                            llvm::function_ref<mlir::LogicalResult()> run);
  mlir::LogicalResult
  phase(llvm::StringRef name,
        llvm::function_ref<void(mlir::OpPassManager &)> build);
  mlir::LogicalResult onDecided(mlir::ModuleOp whole, const Mesh &mesh,
                                const AssignOptions &assign,
                                const Assignment &assignment);
  mlir::LogicalResult reserve();
  mlir::FailureOr<EmitOptions> emitOptions();
  Mesh mesh();

  mlir::OwningOpRef<mlir::ModuleOp> owned;
  CompileOptions options;
  Report summary;
  std::string planText;
};

} // namespace tpc

#endif // TPC_DRIVER_COMPILATION_H
