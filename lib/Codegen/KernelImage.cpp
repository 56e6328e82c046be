//===- KernelImage.cpp - Kernels as machine code --------------------------===//
//
// Loops over explicit vectors -> LLVM dialect -> LLVM IR -> four function
// passes -> object -> shared object, all in memory but for lld's files. The
// emitter has done what loop optimizations would: only cleanup is left, which
// keeps a kernel at a few milliseconds.
//
//===----------------------------------------------------------------------===//

#include "tpc/Codegen/KernelImage.h"
#include "KernelEmitter.h"
#include "Link.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Export.h"
#include "mlir/Target/LLVMIR/ModuleTranslation.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Passes/PassBuilder.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/TargetParser/Host.h"

using namespace mlir;
using namespace tpc;

// The best first. Full-width vectors: the emitter has chosen their length.
static constexpr CpuKind kKinds[] = {
    {"avx512bf16", "x86-64-v4", "-prefer-256-bit,+avx512bf16", 16, true},
    {"avx512", "x86-64-v4", "-prefer-256-bit", 16, false},
    {"avx2", "x86-64-v3", "", 8, false}};

std::string tpc::cpuKindNames() {
  return llvm::join(
      llvm::map_range(kKinds, [](const CpuKind &k) { return k.name; }), ", ");
}

std::optional<CpuKind> tpc::findCpuKind(StringRef name) {
  for (const CpuKind &kind : kKinds)
    if (kind.name == name)
      return kind;
  return std::nullopt;
}

std::optional<CpuKind> tpc::hostCpuKind() {
  llvm::StringMap<bool> features = llvm::sys::getHostCPUFeatures();
  auto has = [&](std::initializer_list<StringRef> names) {
    return llvm::all_of(names, [&](StringRef n) { return features.lookup(n); });
  };
  if (!has({"avx2", "fma", "f16c"}))
    return std::nullopt;
  if (!has({"avx512f", "avx512bw", "avx512dq", "avx512vl"}))
    return findCpuKind("avx2");
  return findCpuKind(has({"avx512bf16"}) ? "avx512bf16" : "avx512");
}

void tpc::registerKernelCompilation(MLIRContext &context) {
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  context.appendDialectRegistry(registry);
  context.loadDialect<arith::ArithDialect, cf::ControlFlowDialect,
                      LLVM::LLVMDialect, math::MathDialect, scf::SCFDialect,
                      vector::VectorDialect>();
}

LogicalResult tpc::emitKernelLoops(ArrayRef<plan::KernelFuncOp> functions,
                                   ModuleOp target, const CpuKind &kind) {
  OpBuilder builder(target.getContext());
  for (plan::KernelFuncOp function : functions) {
    builder.setInsertionPointToEnd(target.getBody());
    if (failed(KernelEmitter::emit(builder, function, kind)))
      return failure();
  }
  return success();
}

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

static std::unique_ptr<llvm::TargetMachine> makeMachine(const CpuKind &kind) {
  static bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    return true;
  }();
  (void)initialized;
  llvm::Triple triple("x86_64-unknown-linux-gnu");
  std::string error;
  const llvm::Target *target =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!target)
    return nullptr;
  return std::unique_ptr<llvm::TargetMachine>(target->createTargetMachine(
      triple, kind.cpu, kind.features, llvm::TargetOptions(), llvm::Reloc::PIC_,
      llvm::CodeModel::Small, llvm::CodeGenOptLevel::Default));
}

static void cleanUp(llvm::Module &module, llvm::TargetMachine &machine) {
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
  llvm::cantFail(builder.parsePassPipeline(
      manager, "function(early-cse<memssa>,loop-mssa(licm),"
               "instcombine<no-verify-fixpoint>,simplifycfg)"));
  manager.run(module, modules);
}

FailureOr<std::vector<uint8_t>>
tpc::compileKernels(ArrayRef<plan::KernelFuncOp> functions,
                    const CpuKind &kind) {
  Location loc = functions.front()->getLoc();
  MLIRContext *context = loc.getContext();
  registerKernelCompilation(*context);
  OwningOpRef<ModuleOp> loops = ModuleOp::create(loc);
  if (failed(emitKernelLoops(functions, *loops, kind)))
    return failure();
  if (failed(lowerToLLVMDialect(*loops)))
    return emitError(loc, "lowering of the kernels failed");

  llvm::LLVMContext llvmContext;
  std::unique_ptr<llvm::Module> module =
      translateModuleToLLVMIR(*loops, llvmContext, "kernels");
  std::unique_ptr<llvm::TargetMachine> machine = makeMachine(kind);
  if (!module || !machine)
    return emitError(loc, "LLVM cannot compile for x86-64");
  module->setDataLayout(machine->createDataLayout());
  module->setTargetTriple(machine->getTargetTriple());
  for (llvm::Function &function : *module) {
    if (function.isDeclaration())
      continue;
    function.addFnAttr("target-cpu", machine->getTargetCPU());
    function.addFnAttr("target-features", machine->getTargetFeatureString());
    function.addFnAttr("prefer-vector-width",
                       kind.vectorLanes == 16 ? "512" : "256");
    function.addFnAttr(llvm::Attribute::NoUnwind);
  }
  cleanUp(*module, *machine);

  SmallVector<char, 0> object;
  llvm::raw_svector_ostream os(object);
  llvm::legacy::PassManager codegen;
  if (machine->addPassesToEmitFile(codegen, os, nullptr,
                                   llvm::CodeGenFileType::ObjectFile))
    return emitError(loc, "LLVM cannot write object files");
  codegen.run(*module);
  return linkSharedObject(object, loc);
}
