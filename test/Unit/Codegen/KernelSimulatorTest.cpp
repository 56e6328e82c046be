// What the simulator finds: every barrier that is taken out of a kernel, and
// threads that wait for each other in a way that a GPU does not allow.
#include "KernelSimulator.h"
#include "CompileAndRun.h"
#include "tpc/Codegen/CudaImage.h"
#include "llvm/AsmParser/Parser.h"
#include "llvm/Bitcode/BitcodeReader.h"
#include "llvm/Bitcode/BitcodeWriter.h"
#include "llvm/IR/InstIterator.h"
#include "llvm/IR/IntrinsicInst.h"
#include "llvm/IR/IntrinsicsNVPTX.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SourceMgr.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::test;
using simulator::KernelModule;
using simulator::Order;

namespace {

std::string bitcodeOf(const llvm::Module &module) {
  std::string bytes;
  llvm::raw_string_ostream os(bytes);
  llvm::WriteBitcodeToFile(module, os);
  return bytes;
}

std::unique_ptr<KernelModule> loadImage(const std::string &bytes) {
  std::string error;
  auto module = KernelModule::load(bytes.data(), bytes.size(), error);
  EXPECT_EQ(error, "");
  return module;
}

//===----------------------------------------------------------------------===//
// Kernels of ours without a barrier
//===----------------------------------------------------------------------===//

class RemovedBarrier : public CompileAndRun {
protected:
  /// Takes out the barriers of the only step, one at a time, and expects each
  /// to be found; the step has buffers of `bytes`.
  void check(llvm::StringRef text, int numBuffers, size_t bytes) {
    ASSERT_NO_FATAL_FAILURE(plan(text));
    CudaModule kernels(*planned);
    CudaLaunch launch;
    planned->walk([&](Operation *op) {
      if (auto function = dyn_cast<plan::KernelFuncOp>(op))
        launch = *kernels.add(function);
      if (auto attention = dyn_cast<plan::AttentionOp>(op))
        launch = *kernels.add(attention);
    });
    auto image = kernels.compile(*findCudaKind("sm_80-bitcode"));
    ASSERT_TRUE(succeeded(image));
    std::string whole(image->begin(), image->end());
    EXPECT_EQ(run(whole, launch, numBuffers, bytes), "");
    int barriers = 0;
    while (auto broken = without(whole, barriers)) {
      EXPECT_NE(run(*broken, launch, numBuffers, bytes), "")
          << "barrier " << barriers;
      ++barriers;
    }
    EXPECT_GE(barriers, 2);
  }

private:
  /// On numbers in no order.
  static std::string run(const std::string &image, const CudaLaunch &launch,
                         int numBuffers, size_t bytes) {
    std::vector<std::vector<float>> memory(numBuffers);
    std::vector<void *> buffers;
    for (std::vector<float> &buffer : memory) {
      for (size_t i = 0; i < bytes / sizeof(float) + 4; ++i)
        buffer.push_back(float(i * 7919 % 1009));
      buffers.push_back(reinterpret_cast<void *>(
          llvm::alignAddr(buffer.data(), llvm::Align(16))));
    }
    return loadImage(image)->launch(launch.symbol, launch.blocks,
                                    launch.threads, buffers.data());
  }

  static std::optional<std::string> without(const std::string &image,
                                            size_t number) {
    llvm::LLVMContext context;
    auto module = llvm::cantFail(
        llvm::parseBitcodeFile(llvm::MemoryBufferRef(image, ""), context));
    llvm::SmallVector<llvm::IntrinsicInst *> barriers;
    for (llvm::Function &function : *module)
      for (llvm::Instruction &op : llvm::instructions(function))
        if (auto *call = llvm::dyn_cast<llvm::IntrinsicInst>(&op))
          if (call->getIntrinsicID() ==
              llvm::Intrinsic::nvvm_barrier_cta_sync_aligned_all)
            barriers.push_back(call);
    if (number >= barriers.size())
      return std::nullopt;
    barriers[number]->eraseFromParent();
    return bitcodeOf(*module);
  }
};

TEST_F(RemovedBarrier, OfReductions) {
  check(R"(tpc.mesh @mesh <"tp" = 1>
func.func @main(%a: tensor<2x1024xf32>) -> tensor<2x1024xf32> {
  %r = tpc.softmax %a : (tensor<2x1024xf32>) -> tensor<2x1024xf32>
  return %r : tensor<2x1024xf32>
})",
        2, 2 * 1024 * 4);
}

TEST_F(RemovedBarrier, OfTopK) {
  check(R"(tpc.mesh @mesh <"tp" = 1>
func.func @main(%a: tensor<200xf32>) -> (tensor<3xf32>, tensor<3xi64>) {
  %v, %p = tpc.top_k %a : (tensor<200xf32>) -> (tensor<3xf32>, tensor<3xi64>)
  return %v, %p : tensor<3xf32>, tensor<3xi64>
})",
        3, 200 * 8);
}

TEST_F(RemovedBarrier, OfSorts) {
  check(R"(tpc.mesh @mesh <"tp" = 1>
func.func @main(%a: tensor<200xf32>) -> (tensor<200xf32>, tensor<200xi64>) {
  %v, %p = tpc.sort %a descending : (tensor<200xf32>) -> (tensor<200xf32>, tensor<200xi64>)
  return %v, %p : tensor<200xf32>, tensor<200xi64>
})",
        3, 200 * 8);
}

TEST_F(RemovedBarrier, OfAttention) {
  check(R"(tpc.mesh @mesh <"tp" = 1>
func.func @main(%q: tensor<1x1x1x1x8xf32>, %k: tensor<1x70x1x8xf32>)
    -> tensor<1x1x1x1x8xf32> {
  %r = tpc.attention %q, %k, %k scale 1.0 : (tensor<1x1x1x1x8xf32>,
    tensor<1x70x1x8xf32>, tensor<1x70x1x8xf32>) -> tensor<1x1x1x1x8xf32>
  return %r : tensor<1x1x1x1x8xf32>
})",
        4, 70 * 8 * 4);
}

//===----------------------------------------------------------------------===//
// Threads that do not meet
//===----------------------------------------------------------------------===//

/// A kernel @k of 64 threads with this body; %t is the thread's number.
std::string kernelOf(llvm::StringRef body) {
  std::string text = (R"(
@k_shared0 = internal addrspace(3) global [64 x i32] poison
declare i32 @llvm.nvvm.read.ptx.sreg.tid.x()
declare void @llvm.nvvm.barrier.cta.sync.aligned.all(i32)
declare i32 @llvm.nvvm.shfl.sync.bfly.i32(i32, i32, i32, i32)
define ptx_kernel void @k(ptr addrspace(1) %out) "nvvm.reqntid"="64,1,1" {
  %t = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()
  %slot = getelementptr i32, ptr addrspace(3) @k_shared0, i32 %t
  %to = getelementptr i32, ptr addrspace(1) %out, i32 %t
)" + body + "}\n")
                         .str();
  llvm::LLVMContext context;
  llvm::SMDiagnostic error;
  auto module = llvm::parseAssemblyString(text, error, context);
  EXPECT_TRUE(module) << error.getMessage().str();
  return module ? bitcodeOf(*module) : "";
}

std::string launch(const std::string &image, std::vector<int32_t> &out,
                   Order order = Order::LowestWarpFirst) {
  out.assign(64, -1);
  void *buffer = out.data();
  return loadImage(image)->launch("k", 1, 64, &buffer, order);
}

bool has(const std::string &text, const char *part) {
  return text.find(part) != std::string::npos;
}

TEST(KernelSimulator, ThreadsMeetAtBarriersAndShuffles) {
  std::vector<int32_t> out;
  for (Order order : {Order::LowestWarpFirst, Order::HighestWarpFirst}) {
    EXPECT_EQ(launch(kernelOf(R"(
  store i32 %t, ptr addrspace(3) %slot
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %far = xor i32 %t, 63
  %from = getelementptr i32, ptr addrspace(3) @k_shared0, i32 %far
  %x = load i32, ptr addrspace(3) %from
  %y = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %x, i32 1, i32 31)
  store i32 %y, ptr addrspace(1) %to
  ret void
)"),
                     out, order),
              "");
    for (int i = 0; i < 64; ++i)
      EXPECT_EQ(out[i], (i ^ 1) ^ 63);
  }
}

TEST(KernelSimulator, BarrierThatSomeThreadsDoNotReach) {
  std::vector<int32_t> out;
  std::string error = launch(kernelOf(R"(
  %some = icmp ult i32 %t, 40
  br i1 %some, label %wait, label %end
wait:
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  br label %end
end:
  ret void
)"),
                             out);
  EXPECT_TRUE(has(error, "k: block 0: thread 39 waits at a barrier that thread "
                         "40 does not reach"))
      << error;
}

TEST(KernelSimulator, ShuffleThatSomeThreadsDoNotReach) {
  std::vector<int32_t> out;
  std::string error = launch(kernelOf(R"(
  %some = icmp ult i32 %t, 40
  br i1 %some, label %wait, label %end
wait:
  %y = call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 -1, i32 %t, i32 1, i32 31)
  br label %end
end:
  ret void
)"),
                             out);
  EXPECT_TRUE(has(error, "waits at a shuffle that thread 40 of the same warp "
                         "does not reach"))
      << error;
}

TEST(KernelSimulator, SharedMemoryOutsideOfArrays) {
  std::vector<int32_t> out;
  std::string error = launch(kernelOf(R"(
  %next = add i32 %t, 1
  %past = getelementptr i32, ptr addrspace(3) @k_shared0, i32 %next
  store i32 %t, ptr addrspace(3) %past
  ret void
)"),
                             out);
  EXPECT_TRUE(has(error, "thread 63 accesses shared memory outside")) << error;
}

TEST(KernelSimulator, WriteOfWhatAnotherThreadRead) {
  std::vector<int32_t> out;
  std::string error = launch(kernelOf(R"(
  store i32 %t, ptr addrspace(3) %slot
  call void @llvm.nvvm.barrier.cta.sync.aligned.all(i32 0)
  %x = load i32, ptr addrspace(3) @k_shared0
  store i32 %x, ptr addrspace(3) %slot
  ret void
)"),
                             out);
  EXPECT_TRUE(has(error, "accessed with no barrier in between")) << error;
}

TEST(KernelSimulator, RefusesWhatItCannotRun) {
  std::string error;
  EXPECT_FALSE(KernelModule::load("PTX", 3, error));
  EXPECT_TRUE(
      has(error, "expected LLVM bitcode, as compiled for sm_80-bitcode"))
      << error;
  auto module = loadImage(kernelOf("  ret void\n"));
  EXPECT_EQ(module->numBuffers("k"), 1);
  EXPECT_EQ(module->numBuffers("other"), -1);
  int32_t out[64];
  void *buffer = out;
  EXPECT_EQ(module->launch("other", 1, 64, &buffer),
            "no kernel 'other' in the module");
  EXPECT_EQ(module->launch("k", 1, 32, &buffer),
            "k: expected blocks of 64 threads, found 32");
  EXPECT_TRUE(has(module->launch("k", 0, 64, &buffer), "0 blocks"));
}

} // namespace
