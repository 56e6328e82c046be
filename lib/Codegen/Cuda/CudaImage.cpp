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
#include "LibraryKernels.h"
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

/// What the address of element `offset` is a multiple of; without a place
/// nothing is known.
static int64_t alignmentOf(Value value, int64_t offset = 0) {
  int64_t natural = elementBytes(elementOf(value));
  plan::PlaceAttr place = plan::placeOf(value);
  // Every block of memory starts at a multiple of 16 bytes, but for scalars.
  if (!place || place.getSpace() == plan::Space::DeviceScalar)
    return natural;
  return std::gcd(place.getOffset() + offset * natural,
                  BufferFacts().alignment);
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

/// What is known of each buffer when only the `results` are written.
static SmallVector<BufferFacts> factsOf(ArrayRef<Value> buffers,
                                        ArrayRef<int64_t> offsets,
                                        ValueRange results) {
  SmallVector<BufferFacts> facts;
  for (auto [value, offset] : llvm::zip_equal(buffers, offsets)) {
    Value buffer = value;
    bool isWritten = llvm::any_of(
        results, [&](Value result) { return mayOverlap(buffer, result); });
    facts.push_back({alignmentOf(value, offset), !isWritten});
  }
  return facts;
}

/// What holds for every launch of each kernel function.
void CudaModule::collectFacts(ModuleOp module) {
  module.walk([&](plan::KernelOp step) {
    SmallVector<Value> buffers(step.getInputs());
    llvm::append_range(buffers, step.getResults()); // updates come first
    SmallVector<BufferFacts> here = factsOf(
        buffers, SmallVector<int64_t>(buffers.size(), 0), step.getResults());
    auto [entry, isFirst] = facts.try_emplace(step.getKernel(), here);
    for (auto [known, other] : llvm::zip_equal(entry->second, here)) {
      known.alignment = std::gcd(known.alignment, other.alignment);
      known.readOnly &= other.readOnly;
    }
  });
}

static LogicalResult checkBlocks(Operation *op, const CudaLaunch &launch) {
  constexpr int64_t most = std::numeric_limits<int32_t>::max();
  if (launch.blocks <= most)
    return success();
  return op->emitOpError("needs ")
         << launch.blocks << " blocks of threads, and a GPU runs at most "
         << most << " at once; split it over more devices";
}

FailureOr<CudaLaunch> CudaModule::add(plan::KernelFuncOp function) {
  auto found = launches.find(function.getSymName());
  if (found != launches.end())
    return found->second;
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
  CudaLaunch launch{function.getSymName().str(), shape->blocks, shape->threads};
  if (failed(checkBlocks(function, launch)))
    return failure();
  launches[function.getSymName()] = launch;
  return launch;
}

/// Steps are the same to a kernel if they have the same types and attributes,
/// and the same is known of their buffers.
static std::string keyOf(Operation *step, ArrayRef<BufferFacts> facts) {
  std::string key;
  llvm::raw_string_ostream os(key);
  os << step->getName();
  for (NamedAttribute attribute : step->getAttrs()) {
    StringRef name = attribute.getName();
    if (name == "at")
      continue;
    os << name;
    // Where a view begins is part of the address.
    if (auto view = dyn_cast<DenseI64ArrayAttr>(attribute.getValue());
        view && name.ends_with("view"))
      llvm::interleaveComma(view.asArrayRef().drop_front(), os);
    else
      os << attribute.getValue();
  }
  for (Type type : step->getOperandTypes())
    os << type;
  for (Type type : step->getResultTypes())
    os << type;
  for (const BufferFacts &buffer : facts)
    os << buffer.alignment << buffer.readOnly;
  return key;
}

FailureOr<CudaLaunch> CudaModule::addStep(Operation *step,
                                          SmallVector<int64_t> offsets,
                                          StringRef name, EmitStepFn emit) {
  SmallVector<Value> buffers(step->getOperands());
  llvm::append_range(buffers, step->getResults());
  offsets.resize(buffers.size(), 0);
  SmallVector<BufferFacts> known =
      factsOf(buffers, offsets, step->getResults());
  std::string key = keyOf(step, known);
  if (auto found = launches.find(key); found != launches.end())
    return found->second;
  OpBuilder builder(kernels->getContext());
  builder.setInsertionPointToEnd(kernels->getBody());
  FailureOr<CudaLaunch> launch =
      emit(builder, (name + Twine(launches.size())).str(), known);
  if (failed(launch) || failed(checkBlocks(step, *launch)))
    return failure();
  launches[key] = *launch;
  return launch;
}

FailureOr<CudaLaunch> CudaModule::add(plan::AttentionOp op) {
  SmallVector<int64_t> offsets{op.getQueryView()[0], op.getKeyView()[0],
                               op.getValueView()[0]};
  if (op.getBias())
    offsets.push_back((*op.getBiasView())[0]);
  return addStep(
      op, offsets, "attention",
      [&](OpBuilder &builder, StringRef symbol, ArrayRef<BufferFacts> known) {
        return emitAttention(builder, op, symbol, known);
      });
}

FailureOr<CudaLaunch> CudaModule::add(plan::GroupedMatmulOp op) {
  return addStep(
      op, {0, 0, op.getView()[0]}, "grouped_matmul",
      [&](OpBuilder &builder, StringRef symbol, ArrayRef<BufferFacts> known) {
        return emitGroupedMatmul(builder, op, symbol, known);
      });
}

FailureOr<CudaLaunch> CudaModule::add(plan::MatmulOp op) {
  return addStep(
      op, {op.getA()[0], op.getB()[0]}, "matmul",
      [&](OpBuilder &builder, StringRef symbol, ArrayRef<BufferFacts> known) {
        return emitMatmul(builder, op, symbol, known);
      });
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
