//===- KernelSimulator.cpp - CUDA kernels on the CPU ----------------------===//
//
// Bitcode for NVPTX -> calls of the simulator in place of NVVM's intrinsics,
// and before every access of shared memory -> the host's target -> LLJIT.
//
//===----------------------------------------------------------------------===//

#include "KernelSimulator.h"
#include "Block.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/ExecutionEngine/Orc/LLJIT.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/TargetSelect.h"
#include <cmath>
#include <mutex>

using namespace tpc::simulator;

//===----------------------------------------------------------------------===//
// What kernels call
//===----------------------------------------------------------------------===//

static uint32_t threadNumber() { return Block::current().thread(); }
static uint32_t blockNumber() { return Block::current().number(); }
static void barrier(uint32_t) {
  Block::current().barrier(__builtin_return_address(0));
}
/// Of a lane whose number differs by the bits of `lanes`.
template <typename T>
static T shuffleXor(uint32_t mask, T value, uint32_t lanes, uint32_t) {
  Block &block = Block::current();
  return llvm::bit_cast<T>(block.shuffle(mask, llvm::bit_cast<uint32_t>(value),
                                         block.thread() % kWarp ^ lanes,
                                         __builtin_return_address(0)));
}
template <typename T>
static T shuffleIndex(uint32_t mask, T value, uint32_t lane, uint32_t) {
  return llvm::bit_cast<T>(
      Block::current().shuffle(mask, llvm::bit_cast<uint32_t>(value), lane,
                               __builtin_return_address(0)));
}
static void accessShared(const std::byte *address, uint64_t bytes,
                         bool writes) {
  Block::current().accessShared(address, bytes, writes);
}

struct Replacement {
  llvm::StringRef intrinsic, name;
  void *function;
};
static const Replacement kReplacements[] = {
    {"llvm.nvvm.read.ptx.sreg.tid.x", "tpcThread",
     reinterpret_cast<void *>(&threadNumber)},
    {"llvm.nvvm.read.ptx.sreg.ctaid.x", "tpcBlock",
     reinterpret_cast<void *>(&blockNumber)},
    {"llvm.nvvm.barrier.cta.sync.aligned.all", "tpcBarrier",
     reinterpret_cast<void *>(&barrier)},
    {"llvm.nvvm.ex2.approx.ftz.f32", "tpcExp2",
     reinterpret_cast<void *>(static_cast<float (*)(float)>(&std::exp2))},
    {"llvm.nvvm.shfl.sync.bfly.i32", "tpcShuffleXorInteger",
     reinterpret_cast<void *>(&shuffleXor<uint32_t>)},
    {"llvm.nvvm.shfl.sync.bfly.f32", "tpcShuffleXorFloat",
     reinterpret_cast<void *>(&shuffleXor<float>)},
    {"llvm.nvvm.shfl.sync.idx.i32", "tpcShuffleIndexInteger",
     reinterpret_cast<void *>(&shuffleIndex<uint32_t>)},
    {"llvm.nvvm.shfl.sync.idx.f32", "tpcShuffleIndexFloat",
     reinterpret_cast<void *>(&shuffleIndex<float>)}};
constexpr const char *kAccessShared = "tpcAccessShared";
constexpr unsigned kSharedSpace = 3;

//===----------------------------------------------------------------------===//
// From NVPTX to the host
//===----------------------------------------------------------------------===//

namespace {
struct KernelInfo {
  unsigned buffers = 0, threads = 0; // threads: 0 if any number
  Block::Kernel entry = nullptr;
};
} // namespace

struct KernelModule::Impl {
  std::unique_ptr<llvm::orc::LLJIT> jit;
  std::map<std::string, KernelInfo> kernels;
  std::vector<SharedArray> shared;

  std::string prepare(llvm::Module &module);
  std::string link();
};

static std::string entryName(llvm::StringRef kernel) {
  return ("run." + kernel).str();
}

/// `void run.kernel(void **buffers)` calls the kernel.
static void addEntry(llvm::Function &kernel) {
  llvm::Module &module = *kernel.getParent();
  llvm::LLVMContext &context = module.getContext();
  llvm::Type *pointer = llvm::PointerType::get(context, 0);
  auto *entry = llvm::Function::Create(
      llvm::FunctionType::get(llvm::Type::getVoidTy(context), {pointer}, false),
      llvm::Function::ExternalLinkage, entryName(kernel.getName()), module);
  llvm::IRBuilder<> builder(llvm::BasicBlock::Create(context, "", entry));
  llvm::SmallVector<llvm::Value *> arguments;
  for (llvm::Argument &argument : kernel.args())
    arguments.push_back(
        builder.CreateLoad(argument.getType(),
                           builder.CreateConstGEP1_64(pointer, entry->getArg(0),
                                                      argument.getArgNo())));
  builder.CreateCall(&kernel, arguments);
  builder.CreateRetVoid();
}

/// A call of `accessShared` before every access of shared memory.
static void watchShared(llvm::Module &module) {
  llvm::LLVMContext &context = module.getContext();
  llvm::Type *pointer = llvm::PointerType::get(context, 0);
  llvm::FunctionCallee callee = module.getOrInsertFunction(
      kAccessShared, llvm::Type::getVoidTy(context), pointer,
      llvm::Type::getInt64Ty(context), llvm::Type::getInt1Ty(context));
  llvm::SmallVector<
      std::tuple<llvm::Instruction *, llvm::Value *, llvm::Type *>>
      accesses;
  for (llvm::Function &function : module)
    for (llvm::Instruction &op : llvm::instructions(function)) {
      if (auto *load = llvm::dyn_cast<llvm::LoadInst>(&op);
          load && load->getPointerAddressSpace() == kSharedSpace)
        accesses.push_back({load, load->getPointerOperand(), load->getType()});
      if (auto *store = llvm::dyn_cast<llvm::StoreInst>(&op);
          store && store->getPointerAddressSpace() == kSharedSpace)
        accesses.push_back({store, store->getPointerOperand(),
                            store->getValueOperand()->getType()});
    }
  for (auto &[op, address, type] : accesses) {
    llvm::IRBuilder<> builder(op);
    builder.CreateCall(
        callee,
        {builder.CreateAddrSpaceCast(address, pointer),
         builder.getInt64(module.getDataLayout().getTypeStoreSize(type)),
         builder.getInt1(llvm::isa<llvm::StoreInst>(op))});
  }
}

std::string KernelModule::Impl::prepare(llvm::Module &module) {
  for (llvm::Function &function : module) {
    if (function.isDeclaration()) {
      if (!function.getName().starts_with("llvm.nvvm."))
        continue;
      const auto *known =
          llvm::find_if(kReplacements, [&](const Replacement &r) {
            return r.intrinsic == function.getName();
          });
      if (known == std::end(kReplacements))
        return "a kernel uses " + function.getName().str() +
               ", which the simulator does not know";
      function.setName(known->name);
      continue;
    }
    function.setCallingConv(llvm::CallingConv::C);
    KernelInfo info;
    info.buffers = function.arg_size();
    function.getFnAttribute("nvvm.reqntid")
        .getValueAsString()
        .split(',')
        .first.getAsInteger(10, info.threads);
    kernels[function.getName().str()] = info;
  }
  for (auto &entry : kernels)
    addEntry(*module.getFunction(entry.first));
  for (llvm::GlobalVariable &global : module.globals())
    if (global.getAddressSpace() == kSharedSpace) {
      global.setLinkage(llvm::GlobalValue::ExternalLinkage);
      global.setInitializer(
          llvm::Constant::getNullValue(global.getValueType()));
      shared.push_back(
          {global.getName().str(), nullptr,
           module.getDataLayout().getTypeAllocSize(global.getValueType())});
    }
  watchShared(module);
  return "";
}

/// Finds the addresses of what was compiled.
std::string KernelModule::Impl::link() {
  for (auto &[name, info] : kernels) {
    auto address = jit->lookup(entryName(name));
    if (!address)
      return llvm::toString(address.takeError());
    info.entry = address->toPtr<Block::Kernel>();
  }
  for (SharedArray &array : shared) {
    auto address = jit->lookup(array.name);
    if (!address)
      return llvm::toString(address.takeError());
    array.data = address->toPtr<std::byte *>();
  }
  return "";
}

//===----------------------------------------------------------------------===//
// The interface
//===----------------------------------------------------------------------===//

KernelModule::KernelModule(std::unique_ptr<Impl> impl)
    : impl(std::move(impl)) {}
KernelModule::~KernelModule() = default;

std::unique_ptr<KernelModule> KernelModule::load(const void *bytes, size_t size,
                                                 std::string &error) {
  static bool initialized = [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
    return true;
  }();
  (void)initialized;
  auto fail = [&](std::string message) {
    error = "simulated CUDA module: " + message;
    return nullptr;
  };
  auto context = std::make_unique<llvm::LLVMContext>();
  llvm::MemoryBufferRef buffer(
      llvm::StringRef(static_cast<const char *>(bytes), size), "kernels");
  auto module = llvm::parseBitcodeFile(buffer, *context);
  if (!module)
    return fail("expected LLVM bitcode, as compiled for sm_80-bitcode: " +
                llvm::toString(module.takeError()));
  auto jit = llvm::orc::LLJITBuilder().create();
  if (!jit)
    return fail(llvm::toString(jit.takeError()));
  (*module)->setTargetTriple((*jit)->getTargetTriple());
  (*module)->setDataLayout((*jit)->getDataLayout());
  auto impl = std::make_unique<Impl>();
  if (std::string problem = impl->prepare(**module); !problem.empty())
    return fail(problem);
  llvm::orc::SymbolMap symbols;
  auto define = [&](llvm::StringRef name, void *address) {
    symbols[(*jit)->mangleAndIntern(name)] = {
        llvm::orc::ExecutorAddr::fromPtr(address),
        llvm::JITSymbolFlags::Exported};
  };
  for (const Replacement &replacement : kReplacements)
    define(replacement.name, replacement.function);
  define(kAccessShared, reinterpret_cast<void *>(&accessShared));
  llvm::orc::JITDylib &library = (*jit)->getMainJITDylib();
  if (auto failed = library.define(llvm::orc::absoluteSymbols(symbols)))
    return fail(llvm::toString(std::move(failed)));
  if (auto failed = (*jit)->addIRModule(
          llvm::orc::ThreadSafeModule(std::move(*module), std::move(context))))
    return fail(llvm::toString(std::move(failed)));
  impl->jit = std::move(*jit);
  if (std::string problem = impl->link(); !problem.empty())
    return fail(problem);
  return std::unique_ptr<KernelModule>(new KernelModule(std::move(impl)));
}

int KernelModule::numBuffers(const std::string &symbol) const {
  auto found = impl->kernels.find(symbol);
  return found == impl->kernels.end() ? -1 : found->second.buffers;
}

std::string KernelModule::launch(const std::string &symbol, unsigned blocks,
                                 unsigned threads, void *const *buffers,
                                 Order order) {
  auto found = impl->kernels.find(symbol);
  if (found == impl->kernels.end())
    return "no kernel '" + symbol + "' in the module";
  const KernelInfo &info = found->second;
  if (threads == 0 || threads > 1024 || blocks == 0)
    return symbol + ": a launch of " + std::to_string(blocks) + " blocks of " +
           std::to_string(threads) + " threads";
  if (info.threads && info.threads != threads)
    return symbol + ": expected blocks of " + std::to_string(info.threads) +
           " threads, found " + std::to_string(threads);
  static std::mutex mutex; // shared memory is the module's
  std::lock_guard lock(mutex);
  std::vector<SharedArray> shared;
  for (const SharedArray &array : impl->shared)
    if (llvm::StringRef(array.name).starts_with(symbol + "_shared"))
      shared.push_back(array);
  Block block(threads, std::move(shared), order);
  for (unsigned i = 0; i < blocks; ++i)
    if (std::string problem = block.run(i, info.entry, buffers);
        !problem.empty())
      return symbol + ": " + problem;
  return "";
}
