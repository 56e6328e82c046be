//===- LowerToLLVM.h - From generated loops to LLVM IR ----------*- C++ -*-===//

#ifndef TPC_LIB_CODEGEN_LOWERTOLLVM_H
#define TPC_LIB_CODEGEN_LOWERTOLLVM_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/IR/Module.h"
#include "llvm/Target/TargetMachine.h"

namespace tpc {

/// Makes LLVM IR for `machine` of a module of llvm.func, arith, math, scf and
/// vector, and runs the passes of `pipeline` (as for `opt -passes`) on it. The
/// module is consumed. Emits an error when something cannot be lowered.
mlir::FailureOr<std::unique_ptr<llvm::Module>>
lowerToLLVM(mlir::ModuleOp module, llvm::LLVMContext &context,
            llvm::TargetMachine &machine, llvm::StringRef pipeline,
            llvm::function_ref<void(llvm::Function &)> prepare);

/// Writes object code or assembly.
mlir::FailureOr<llvm::SmallVector<char, 0>>
generateCode(llvm::Module &module, llvm::TargetMachine &machine,
             llvm::CodeGenFileType type, mlir::Location loc);

/// The machine, or an error at `loc`. The target must be initialized.
mlir::FailureOr<std::unique_ptr<llvm::TargetMachine>>
makeMachine(llvm::StringRef triple, llvm::StringRef cpu,
            llvm::StringRef features, mlir::Location loc);

} // namespace tpc

#endif // TPC_LIB_CODEGEN_LOWERTOLLVM_H
