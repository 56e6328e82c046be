// PTX of kernels: what is in it, and that ptxas takes it without spilling.
#include "CompileAndRun.h"
#include "tpc/Codegen/CudaImage.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Program.h"

using namespace mlir;
using namespace tpc;
using namespace tpc::test;

namespace {

class CudaPtx : public CompileAndRun {
protected:
  /// The kernels of the function @main.
  std::string ptxOf(llvm::StringRef function, llvm::StringRef chip = "sm_80") {
    plan(("tpc.mesh @mesh <\"tp\" = 1>\n" + function).str());
    if (HasFatalFailure())
      return "";
    CudaModule module(*planned);
    for (auto kernel : planned->getOps<plan::KernelFuncOp>())
      EXPECT_TRUE(succeeded(module.add(kernel)));
    auto image = module.compile(*findCudaKind(chip));
    if (failed(image)) {
      ADD_FAILURE();
      return "";
    }
    EXPECT_EQ(image->back(), 0);
    return std::string(image->begin(), image->end() - 1);
  }

  static int count(llvm::StringRef text, llvm::StringRef part) {
    return text.count(part);
  }

  /// What ptxas says of each kernel: registers, spills.
  static std::string assemble(const std::string &ptx, llvm::StringRef chip) {
    llvm::SmallString<64> input, log;
    int descriptor = -1;
    EXPECT_FALSE(llvm::sys::fs::createTemporaryFile("tpc-test", "ptx",
                                                    descriptor, input));
    llvm::raw_fd_ostream(descriptor, /*shouldClose=*/true) << ptx;
    EXPECT_FALSE(llvm::sys::fs::createTemporaryFile("tpc-test", "log", log));
    std::string architecture = ("-arch=" + chip).str();
    std::optional<llvm::StringRef> redirects[] = {"", log.str(), log.str()};
    int status = llvm::sys::ExecuteAndWait(
        TPC_PTXAS, {TPC_PTXAS, architecture, "-v", "-o", "/dev/null", input},
        std::nullopt, redirects);
    auto text = llvm::MemoryBuffer::getFile(log);
    llvm::sys::fs::remove(input);
    llvm::sys::fs::remove(log);
    std::string said = text ? (*text)->getBuffer().str() : "";
    EXPECT_EQ(status, 0) << said;
    return said;
  }
};

const char *const kSilu = R"(
func.func @main(%g: tensor<64x4096xbf16>, %u: tensor<64x4096xbf16>)
    -> tensor<64x4096xbf16> {
  %s = tpc.silu %g : (tensor<64x4096xbf16>) -> tensor<64x4096xbf16>
  %y = tpc.mul %s, %u : (tensor<64x4096xbf16>, tensor<64x4096xbf16>)
    -> tensor<64x4096xbf16>
  return %y : tensor<64x4096xbf16>
})";

const char *const kSoftmax = R"(
func.func @main(%x: tensor<64x4096xbf16>) -> tensor<64x4096xbf16> {
  %y = tpc.softmax %x : (tensor<64x4096xbf16>) -> tensor<64x4096xbf16>
  return %y : tensor<64x4096xbf16>
})";

const char *const kLongSoftmax = R"(
func.func @main(%x: tensor<4x128256xf32>) -> tensor<4x128256xf32> {
  %y = tpc.softmax %x : (tensor<4x128256xf32>) -> tensor<4x128256xf32>
  return %y : tensor<4x128256xf32>
})";

const char *const kNorm = R"(
func.func @main(%a: tensor<64x4096xbf16>, %x: tensor<64x4096xbf16>,
                %w: tensor<4096xbf16>)
    -> (tensor<64x4096xbf16>, tensor<64x4096xbf16>) {
  %s = tpc.add %a, %x : (tensor<64x4096xbf16>, tensor<64x4096xbf16>)
    -> tensor<64x4096xbf16>
  %y = tpc.rms_norm %s, %w epsilon 1.0e-5
    : (tensor<64x4096xbf16>, tensor<4096xbf16>) -> tensor<64x4096xbf16>
  return %s, %y : tensor<64x4096xbf16>, tensor<64x4096xbf16>
})";

const char *const kTopK = R"(
func.func @main(%x: tensor<4x128256xbf16>)
    -> (tensor<4x50xbf16>, tensor<4x50xi64>) {
  %v, %p = tpc.top_k %x : (tensor<4x128256xbf16>)
    -> (tensor<4x50xbf16>, tensor<4x50xi64>)
  return %v, %p : tensor<4x50xbf16>, tensor<4x50xi64>
})";

const char *const kGather = R"(
func.func @main(%t: tensor<32000x4096xbf16>, %i: tensor<16xi64>)
    -> tensor<16x4096xbf16> {
  %y = tpc.gather %t, %i dim 0 : (tensor<32000x4096xbf16>, tensor<16xi64>)
    -> tensor<16x4096xbf16>
  return %y : tensor<16x4096xbf16>
})";

const char *const kRope = R"(
func.func @main(%a: tensor<2x3x8x128xbf16>, %p: tensor<2x3xi64>,
                %f: tensor<64xf32>) -> tensor<2x3x8x128xbf16> {
  %y = tpc.rope halves %a, %p, %f scale 1.0
    : (tensor<2x3x8x128xbf16>, tensor<2x3xi64>, tensor<64xf32>)
    -> tensor<2x3x8x128xbf16>
  return %y : tensor<2x3x8x128xbf16>
})";

TEST_F(CudaPtx, FlatKernelsMove16Bytes) {
  std::string ptx = ptxOf(kSilu);
  EXPECT_EQ(count(ptx, ".entry"), 1) << ptx;
  EXPECT_EQ(count(ptx, "ld.global.nc.v4.b32"), 2) << ptx;
  EXPECT_EQ(count(ptx, "st.global.v4.b32"), 1) << ptx;
  EXPECT_EQ(count(ptx, "ld.global"), 2) << ptx;
  EXPECT_EQ(count(ptx, ".extern"), 0) << ptx;
  EXPECT_NE(ptx.find(".target sm_80"), std::string::npos);
}

TEST_F(CudaPtx, RowsAreReadOnceAndReducedWithOneBarrierEach) {
  std::string ptx = ptxOf(kSoftmax);
  EXPECT_EQ(count(ptx, "ld.global"), 1) << ptx;
  EXPECT_EQ(count(ptx, "st.global"), 1) << ptx;
  // Two reductions over 512 threads: in the warp and over 16 warps.
  EXPECT_EQ(count(ptx, "bar.sync"), 2) << ptx;
  EXPECT_EQ(count(ptx, "shfl.sync.bfly"), 2 * (5 + 4)) << ptx;
}

TEST_F(CudaPtx, RowsOfATableAreReadInVectors) {
  std::string ptx = ptxOf(kGather);
  EXPECT_EQ(count(ptx, "ld.global.nc.v4.b32"), 1) << ptx;
  EXPECT_EQ(count(ptx, "st.global.v4.b32"), 1) << ptx;
}

class Assembled : public CudaPtx,
                  public ::testing::WithParamInterface<const char *> {};

TEST_P(Assembled, WithoutSpills) {
  if (llvm::StringRef(TPC_PTXAS).empty())
    GTEST_SKIP() << "there is no ptxas on this machine";
  for (llvm::StringRef text :
       {kSilu, kSoftmax, kLongSoftmax, kNorm, kTopK, kGather, kRope}) {
    SCOPED_TRACE(text.str());
    std::string ptx = ptxOf(text, GetParam());
    std::string said = assemble(ptx, GetParam());
    EXPECT_EQ(count(said, "0 bytes spill stores"), count(ptx, ".entry"))
        << said;
    EXPECT_EQ(count(ptx, ".local"), 0) << ptx;
  }
}

INSTANTIATE_TEST_SUITE_P(Chips, Assembled,
                         ::testing::Values("sm_80", "sm_90", "sm_100"),
                         [](const auto &info) {
                           return std::string(info.param);
                         });

} // namespace
