// Artifacts for CUDA: images, launches, and kernels beside library steps.
#include "CompileAndRun.h"
#include "KernelSimulator.h"
#include "tpc/Target/Artifact.h"
#include "tpcrt/artifact_generated.h"
#include <regex>

using namespace mlir;
using namespace tpc;
using namespace tpc::test;
namespace fb = tpcrt::artifact;

namespace {

class CudaArtifact : public CompileAndRun {
protected:
  fb::ArtifactT emit(llvm::StringRef text, EmitOptions options = {},
                     const AssignPhaseOptions &assign = {}) {
    plan(text, assign);
    fb::ArtifactT artifact;
    if (HasFatalFailure())
      return artifact;
    options.device = DeviceKind::Cuda;
    auto payload = emitArtifact(*planned, options);
    if (failed(payload)) {
      ADD_FAILURE();
      return artifact;
    }
    fb::GetArtifact(payload->data())->UnPackTo(&artifact);
    return artifact;
  }
};

const char *const kProgram = R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%q: tensor<2x3x2x2x8xf32>, %k: tensor<2x40x2x8xf32>,
                %n: tensor<2xi32>) -> tensor<2x3x2x2x8xf32> {
  %e = tpc.exp %q : (tensor<2x3x2x2x8xf32>) -> tensor<2x3x2x2x8xf32>
  %ks = tpc.slice %k [0, 8, 0, 0] : (tensor<2x40x2x8xf32>) -> tensor<2x32x2x8xf32>
  %r = tpc.attention %e, %ks, %ks lengths %n scale 1.0 :
    (tensor<2x3x2x2x8xf32>, tensor<2x32x2x8xf32>, tensor<2x32x2x8xf32>,
     tensor<2xi32>) -> tensor<2x3x2x2x8xf32>
  return %r : tensor<2x3x2x2x8xf32>
})";

TEST_F(CudaArtifact, SaysHowKernelsAreLaunched) {
  fb::ArtifactT artifact = emit(kProgram);
  EXPECT_EQ(artifact.device, fb::DeviceKind::Cuda);
  ASSERT_EQ(artifact.images.size(), 1u);
  EXPECT_EQ(artifact.images[0]->isa, "sm_80");
  ASSERT_FALSE(artifact.images[0]->bytes.empty());
  EXPECT_EQ(artifact.images[0]->bytes.back(), 0);
  llvm::StringRef ptx(
      reinterpret_cast<const char *>(artifact.images[0]->bytes.data()));
  ASSERT_EQ(artifact.kernels.size(), 2u);
  for (const std::string &kernel : artifact.kernels)
    EXPECT_TRUE(ptx.contains(".entry " + kernel + "("));

  ASSERT_EQ(artifact.programs.size(), 1u);
  auto &steps = artifact.programs[0]->steps;
  ASSERT_EQ(steps.size(), 2u);
  // 192 elements, four a thread.
  const fb::KernelStepT *kernel = steps[0]->body.AsKernelStep();
  ASSERT_TRUE(kernel);
  EXPECT_EQ(kernel->tiles * kernel->threads, 64u);
  // A block per query and head, a warp for all 32 keys.
  const fb::AttentionStepT *attention = steps[1]->body.AsAttentionStep();
  ASSERT_TRUE(attention && attention->generated);
  const fb::KernelStepT &generated = *attention->generated;
  EXPECT_EQ(artifact.kernels[generated.kernel], "attention1");
  EXPECT_EQ(generated.tiles, 2u * 3 * 2 * 2);
  EXPECT_EQ(generated.threads, 32u);
  EXPECT_EQ(generated.inputs, 4u);
  ASSERT_EQ(generated.buffers.size(), 5u);
  auto same = [](const fb::BufferRef &a, const fb::BufferRef &b) {
    return a.space() == b.space() && a.offset() == b.offset() &&
           a.size() == b.size();
  };
  EXPECT_TRUE(same(generated.buffers[0], *attention->query));
  EXPECT_TRUE(same(generated.buffers[1], *attention->key));
  EXPECT_TRUE(same(generated.buffers[2], *attention->value));
  EXPECT_TRUE(same(generated.buffers[3], *attention->lengths));
  EXPECT_TRUE(same(generated.buffers[4], *attention->result));
}

TEST_F(CudaArtifact, HasAnImageForEveryArchitecture) {
  fb::ArtifactT artifact =
      emit(kProgram, {DeviceKind::Cuda, {"sm_80", "sm_100"}, true});
  ASSERT_EQ(artifact.images.size(), 2u);
  EXPECT_EQ(artifact.images[1]->isa, "sm_100");
  EXPECT_NE(artifact.images[0]->bytes, artifact.images[1]->bytes);
}

TEST_F(CudaArtifact, WithBitcodeForTheSimulator) {
  fb::ArtifactT artifact =
      emit(kProgram, {DeviceKind::Cuda, {"sm_80-bitcode"}, true});
  ASSERT_EQ(artifact.images.size(), 1u);
  EXPECT_EQ(artifact.images[0]->isa, "sm_80");
  std::string error;
  auto module =
      simulator::KernelModule::load(artifact.images[0]->bytes.data(),
                                    artifact.images[0]->bytes.size(), error);
  ASSERT_TRUE(module) << error;
  EXPECT_EQ(module->numBuffers("attention1"), 5);
}

/// Equal steps share a kernel, also at other places of a buffer.
TEST_F(CudaArtifact, EqualAttentionsShareAKernel) {
  fb::ArtifactT artifact = emit(R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%q: tensor<1x3x2x2x8xf32>, %kl: tensor<2x1x40x2x8xf32>)
    -> tensor<1x3x2x2x8xf32> {
  %k0 = tpc.slice %kl [0, 0, 0, 0, 0] : (tensor<2x1x40x2x8xf32>) -> tensor<1x1x40x2x8xf32>
  %k = tpc.reshape %k0 : (tensor<1x1x40x2x8xf32>) -> tensor<1x40x2x8xf32>
  %l0 = tpc.slice %kl [1, 0, 0, 0, 0] : (tensor<2x1x40x2x8xf32>) -> tensor<1x1x40x2x8xf32>
  %l = tpc.reshape %l0 : (tensor<1x1x40x2x8xf32>) -> tensor<1x40x2x8xf32>
  %a = tpc.attention %q, %k, %l scale 1.0 : (tensor<1x3x2x2x8xf32>,
    tensor<1x40x2x8xf32>, tensor<1x40x2x8xf32>) -> tensor<1x3x2x2x8xf32>
  %b = tpc.attention %a, %l, %k scale 1.0 : (tensor<1x3x2x2x8xf32>,
    tensor<1x40x2x8xf32>, tensor<1x40x2x8xf32>) -> tensor<1x3x2x2x8xf32>
  %c = tpc.attention %b, %l, %k scale 2.0 : (tensor<1x3x2x2x8xf32>,
    tensor<1x40x2x8xf32>, tensor<1x40x2x8xf32>) -> tensor<1x3x2x2x8xf32>
  return %c : tensor<1x3x2x2x8xf32>
})");
  EXPECT_EQ(artifact.kernels.size(), 2u);
}

/// What a GPU cannot launch.
TEST_F(CudaArtifact, TooLarge) {
  std::string said;
  ScopedDiagnosticHandler handler(
      &context, [&](Diagnostic &diagnostic) { said = diagnostic.str(); });
  plan(R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%q: tensor<1x1x1x1x8xf32>, %k: tensor<1x8x1x8xf32>,
                %v: tensor<1x8x1x12345xf32>) -> tensor<1x1x1x1x12345xf32> {
  %r = tpc.attention %q, %k, %v scale 1.0 : (tensor<1x1x1x1x8xf32>,
    tensor<1x8x1x8xf32>, tensor<1x8x1x12345xf32>) -> tensor<1x1x1x1x12345xf32>
  return %r : tensor<1x1x1x1x12345xf32>
})");
  EXPECT_TRUE(failed(emitArtifact(*planned, {DeviceKind::Cuda, {}, true})));
  EXPECT_EQ(said, "'plan.attention' op with keys of 8 and values of 12345 "
                  "elements needs 49420 bytes of shared memory, and a block of "
                  "a GPU has 49152");
  plan(R"(
tpc.mesh @mesh <"tp" = 1>
func.func @main(%x: tensor<4294967296x512xf32>) -> tensor<4294967296xf32> {
  %r = tpc.reduce sum %x dims [1] : (tensor<4294967296x512xf32>) -> tensor<4294967296xf32>
  return %r : tensor<4294967296xf32>
})");
  EXPECT_TRUE(failed(emitArtifact(*planned, {DeviceKind::Cuda, {}, true})));
  EXPECT_EQ(said, "'plan.kernel_func' op needs 4294967296 blocks of threads, "
                  "and a GPU runs at most 2147483647 at once; split it over "
                  "more devices");
}

/// A small sum over one node of GPUs; where the machine has none (cpu), as on
/// an h100.
TEST_F(CudaArtifact, SaysWhichAllReducesTakeOneLaunch) {
  auto isOneLaunch = [&](const char *machine, const char *devices,
                         const char *rows) {
    std::string text = R"(
tpc.mesh @mesh <"tp" = DEVICES>
tpc.parameter @up : tensor<64x256xf32>
tpc.parameter @down : tensor<256x64xf32>
func.func @main(%x: tensor<ROWSx64xf32>) -> tensor<ROWSx64xf32> {
  %u = tpc.read @up : tensor<64x256xf32>
  %d = tpc.read @down : tensor<256x64xf32>
  %h = tpc.matmul %x, %u "b e, e f -> b f" : (tensor<ROWSx64xf32>, tensor<64x256xf32>) -> tensor<ROWSx256xf32>
  %y = tpc.matmul %h, %d "b f, f e -> b e" : (tensor<ROWSx256xf32>, tensor<256x64xf32>) -> tensor<ROWSx64xf32>
  return %y : tensor<ROWSx64xf32>
})";
    text = std::regex_replace(text, std::regex("DEVICES"), devices);
    text = std::regex_replace(text, std::regex("ROWS"), rows);
    AssignPhaseOptions assign;
    assign.mode = "megatron";
    assign.machine = machine;
    std::vector<bool> found;
    fb::ArtifactT artifact = emit(text, {}, assign);
    for (auto &step : artifact.programs.at(0)->steps)
      if (auto *collective = step->body.AsCollectiveStep())
        found.push_back(collective->one_launch);
    EXPECT_EQ(found.size(), 1u);
    return !found.empty() && found[0];
  };
  for (const char *machine : {"cpu", "h100"}) {
    EXPECT_TRUE(isOneLaunch(machine, "8", "8"));      // 2 KiB
    EXPECT_FALSE(isOneLaunch(machine, "8", "16384")); // 4 MiB
    EXPECT_FALSE(isOneLaunch(machine, "16", "8"));    // between nodes
  }
}

TEST_F(CudaArtifact, UnknownArchitecture) {
  plan(kProgram);
  std::string said;
  ScopedDiagnosticHandler handler(
      &context, [&](Diagnostic &diagnostic) { said = diagnostic.str(); });
  EXPECT_TRUE(
      failed(emitArtifact(*planned, {DeviceKind::Cuda, {"sm_70"}, true})));
  EXPECT_EQ(said, "unknown GPU architecture 'sm_70'; expected one of: sm_80, "
                  "sm_90, sm_100");
}

} // namespace
