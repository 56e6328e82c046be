//===- Compiler.h - From a module to an artifact ----------------*- C++ -*-===//
//
// The phases as functions, for tools. Each takes the module from one form to
// the next, ends with the verifier of that form, and emits errors at the
// operation that is at fault.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_PIPELINE_COMPILER_H
#define TPC_PIPELINE_COMPILER_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/PassManager.h"
#include "tpc/Pipeline/AssignOptions.h"
#include "tpc/Transforms/Passes.h"

namespace tpc {

/// Gives the module the mesh that "dp=2,tp=4" describes, in place of the one
/// it has. `error` says what is wrong with the text.
mlir::LogicalResult setMesh(mlir::ModuleOp module, llvm::StringRef text,
                            std::string &error);

/// Removes every pinned sharding of a module in the whole form.
void removePins(mlir::ModuleOp module);

/// Whole form -> assigned form.
void buildAssignPhase(mlir::OpPassManager &pm,
                      const AssignPhaseOptions &options,
                      OnDecided onDecided = nullptr);
void buildAssignPhase(mlir::OpPassManager &pm, llvm::StringRef mode);
/// Assigned form -> per-device programs.
void buildPartitionPhase(mlir::OpPassManager &pm);
/// Per-device programs -> proof that they compute the whole functions.
void buildVerifyPhase(mlir::OpPassManager &pm);
/// Per-device programs -> plans with memory, and the proof of the plan;
/// `device` is "cpu" or "cuda".
void buildPlanPhase(mlir::OpPassManager &pm, llvm::StringRef device = "cpu");

/// Runs what `build` adds to a pass manager.
mlir::LogicalResult
runPhase(mlir::ModuleOp module,
         llvm::function_ref<void(mlir::OpPassManager &)> build);

} // namespace tpc

#endif // TPC_PIPELINE_COMPILER_H
