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
#include "LowerToLLVM.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/Support/TargetSelect.h"
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

static FailureOr<std::unique_ptr<llvm::TargetMachine>>
machineFor(const CpuKind &kind, Location loc) {
  static bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    return true;
  }();
  (void)initialized;
  return makeMachine("x86_64-unknown-linux-gnu", kind.cpu, kind.features, loc);
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
  auto machine = machineFor(kind, loc);
  if (failed(machine))
    return failure();
  auto prepare = [&](llvm::Function &function) {
    function.addFnAttr("target-cpu", (*machine)->getTargetCPU());
    function.addFnAttr("target-features", (*machine)->getTargetFeatureString());
    function.addFnAttr("prefer-vector-width",
                       kind.vectorLanes == 16 ? "512" : "256");
    function.addFnAttr(llvm::Attribute::NoUnwind);
  };
  llvm::LLVMContext llvmContext;
  auto module = lowerToLLVM(*loops, llvmContext, **machine,
                            "function(early-cse<memssa>,loop-mssa(licm),"
                            "instcombine<no-verify-fixpoint>,simplifycfg)",
                            prepare);
  if (failed(module))
    return failure();
  auto object =
      generateCode(**module, **machine, llvm::CodeGenFileType::ObjectFile, loc);
  if (failed(object))
    return failure();
  return linkSharedObject(*object, loc);
}
