//===- LowerToLLVM.cpp - From generated loops to LLVM IR ------------------===//

#include "LowerToLLVM.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"

using namespace mlir;
using namespace tpc;

static LogicalResult lowerToLLVMDialect(ModuleOp module) {
  PassManager manager(module.getContext());
  manager.enableVerifier(false);
  manager.addPass(createSCFToControlFlowPass());
  ConvertVectorToLLVMPassOptions vectorOptions;
  vectorOptions.reassociateFPReductions = true;
  manager.addPass(createConvertVectorToLLVMPass(vectorOptions));
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  return manager.run(module);
}

static void runPasses(llvm::Module &module, llvm::TargetMachine &machine,
                      StringRef pipeline) {
  llvm::PassBuilder builder(&machine);
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager callGraph;
  llvm::ModuleAnalysisManager modules;
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(callGraph);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, callGraph, modules);
  llvm::ModulePassManager manager;
  llvm::cantFail(builder.parsePassPipeline(manager, pipeline));
  manager.run(module, modules);
}

FailureOr<std::unique_ptr<llvm::Module>>
tpc::lowerToLLVM(ModuleOp module, llvm::LLVMContext &context,
                 llvm::TargetMachine &machine, StringRef pipeline,
                 llvm::function_ref<void(llvm::Function &)> prepare) {
  if (failed(lowerToLLVMDialect(module)))
    return module.emitError("lowering of the kernels failed");
  std::unique_ptr<llvm::Module> result =
      translateModuleToLLVMIR(module, context, "kernels");
  if (!result)
    return module.emitError("translation of the kernels failed");
  result->setDataLayout(machine.createDataLayout());
  result->setTargetTriple(machine.getTargetTriple());
  for (llvm::Function &function : *result)
    if (!function.isDeclaration())
      prepare(function);
  runPasses(*result, machine, pipeline);
  return result;
}

FailureOr<SmallVector<char, 0>> tpc::generateCode(llvm::Module &module,
                                                  llvm::TargetMachine &machine,
                                                  llvm::CodeGenFileType type,
                                                  Location loc) {
  SmallVector<char, 0> code;
  llvm::raw_svector_ostream os(code);
  llvm::legacy::PassManager manager;
  if (machine.addPassesToEmitFile(manager, os, nullptr, type))
    return emitError(loc, "LLVM cannot write code for ")
           << machine.getTargetTriple().str();
  manager.run(module);
  return code;
}

FailureOr<std::unique_ptr<llvm::TargetMachine>>
tpc::makeMachine(StringRef triple, StringRef cpu, StringRef features,
                 Location loc) {
  std::string error;
  llvm::Triple parsed(triple);
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(parsed, error);
  if (!target)
    return emitError(loc, "LLVM cannot compile for ")
           << triple << ": " << error;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      parsed, cpu, features, llvm::TargetOptions(), llvm::Reloc::PIC_,
      llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
}
