//===- CudaImage.cpp - Kernels for NVIDIA's GPUs --------------------------===//
//
// Threads' code -> LLVM dialect -> LLVM IR -> LLVM's usual passes -> PTX. The
// driver compiles PTX for the GPU that it finds, so that an image for an old
// chip serves newer ones.
//
//===----------------------------------------------------------------------===//

#include "tpc/Codegen/CudaImage.h"
#include "../LowerToLLVM.h"
#include "CudaKernel.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/NVVM/NVVMToLLVMIRTranslation.h"
#include "tpc/Codegen/CoreBuilder.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/Support/TargetSelect.h"

using namespace mlir;
using namespace tpc;

constexpr StringRef kChips[] = {"sm_80", "sm_90", "sm_100"};
constexpr StringRef kBitcode = "-bitcode";

std::string tpc::cudaKindNames() { return llvm::join(ArrayRef(kChips), ", "); }

std::optional<CudaKind> tpc::findCudaKind(StringRef name) {
  CudaKind kind;
  kind.bitcode = name.consume_back(kBitcode);
  kind.chip = name.str();
  return llvm::is_contained(kChips, name) ? std::optional(kind) : std::nullopt;
}

void tpc::registerCudaCompilation(MLIRContext &context) {
  DialectRegistry registry;
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
  registerNVVMDialectTranslation(registry);
  context.appendDialectRegistry(registry);
  context.loadDialect<arith::ArithDialect, cf::ControlFlowDialect,
                      LLVM::LLVMDialect, math::MathDialect, NVVM::NVVMDialect,
                      scf::SCFDialect, vector::VectorDialect>();
}

//===----------------------------------------------------------------------===//
// Kernels
//===----------------------------------------------------------------------===//

CudaModule::CudaModule(ModuleOp module) {
  registerCudaCompilation(*module.getContext());
  kernels = ModuleOp::create(module.getLoc());
  collectFacts(module);
}

/// What is known of where `value` lies; nothing without a place.
static int64_t alignmentOf(Value value) {
  int64_t natural = elementBytes(elementOf(value));
  plan::PlaceAttr place = plan::placeOf(value);
  // Every block of memory starts at a multiple of 16 bytes, but for scalars.
  if (!place || place.getSpace() == plan::Space::DeviceScalar)
    return natural;
  return std::gcd(place.getOffset(), BufferFacts().alignment);
}

static bool mayOverlap(Value a, Value b) {
  plan::PlaceAttr x = plan::placeOf(a), y = plan::placeOf(b);
  if (!x || !y)
    return true;
  if (x.getSpace() != y.getSpace() || x.getSymbol() != y.getSymbol())
    return false;
  return x.getOffset() < y.getOffset() + plan::bytesOf(b) &&
         y.getOffset() < x.getOffset() + plan::bytesOf(a);
}

/// What holds for every launch of each kernel function.
void CudaModule::collectFacts(ModuleOp module) {
  module.walk([&](plan::KernelOp step) {
    SmallVector<Value> buffers(step.getInputs());
    llvm::append_range(buffers, step.getResults()); // updates come first
    auto [entry, isFirst] = facts.try_emplace(
        step.getKernel(),
        SmallVector<BufferFacts>(buffers.size(), BufferFacts{16, true}));
    for (auto [i, value] : llvm::enumerate(buffers)) {
      BufferFacts &known = entry->second[i];
      known.alignment = std::gcd(known.alignment, alignmentOf(value));
      known.readOnly &=
          i < step.getInputs().size() &&
          llvm::none_of(
              step.getResults(),
              [&](Value result) { return mayOverlap(buffers[i], result); });
    }
  });
}

FailureOr<CudaLaunch> CudaModule::add(plan::KernelFuncOp function) {
  auto [entry, isNew] = launches.try_emplace(function.getSymName());
  if (!isNew)
    return entry->second;
  SmallVector<BufferFacts> known = facts.lookup(function.getSymName());
  // A kernel that nothing runs is taken to be alone with its buffers.
  if (known.empty()) {
    known.assign(function.getNumInputs(), BufferFacts{16, true});
    known.append(function.getNumResults(), BufferFacts());
  }
  OpBuilder builder(kernels->getContext());
  builder.setInsertionPointToEnd(kernels->getBody());
  FailureOr<CudaShape> shape = CudaKernel::emit(builder, function, known);
  if (failed(shape))
    return failure();
  entry->second = {function.getSymName().str(), shape->blocks, shape->threads};
  return entry->second;
}

//===----------------------------------------------------------------------===//
// Images
//===----------------------------------------------------------------------===//

/// Without a library of functions every call is a mistake of ours, which the
/// driver would find only when it loads the module.
static LogicalResult checkCalls(llvm::Module &module, Location loc) {
  for (llvm::Function &function : module)
    if (function.isDeclaration() && !function.isIntrinsic() &&
        !function.use_empty())
      return emitError(loc, "a kernel calls '")
             << function.getName() << "', which no GPU has";
  return success();
}

FailureOr<std::vector<uint8_t>> CudaModule::compile(const CudaKind &kind) {
  static bool initialized = [] {
    LLVMInitializeNVPTXTargetInfo();
    LLVMInitializeNVPTXTarget();
    LLVMInitializeNVPTXTargetMC();
    LLVMInitializeNVPTXAsmPrinter();
    return true;
  }();
  (void)initialized;
  Location loc = kernels->getLoc();
  auto machine = makeMachine("nvptx64-nvidia-cuda", kind.chip, "", loc);
  if (failed(machine))
    return failure();
  OwningOpRef<ModuleOp> copy = kernels->clone();
  llvm::LLVMContext context;
  auto module = lowerToLLVM(*copy, context, **machine, "default<O2>",
                            [](llvm::Function &) {});
  if (failed(module) || failed(checkCalls(**module, loc)))
    return failure();
  SmallVector<char, 0> image;
  if (kind.bitcode) {
    llvm::raw_svector_ostream os(image);
    llvm::WriteBitcodeToFile(**module, os);
  } else {
    auto ptx = generateCode(**module, **machine,
                            llvm::CodeGenFileType::AssemblyFile, loc);
    if (failed(ptx))
      return failure();
    image = std::move(*ptx);
    image.push_back('\0');
  }
  return std::vector<uint8_t>(image.begin(), image.end());
}
