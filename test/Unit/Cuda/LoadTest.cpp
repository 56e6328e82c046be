// Loading on fake GPUs: weights, memory that is shared or missing, images, and
// everything that is refused with an error.
#include "../Runtime/TestFiles.h"
#include "CudaArtifact.h"
#include "device/cuda/KernelModule.h"

#include <numeric>

using namespace tpcrt;
using namespace tpcrt::test;
using Values = std::vector<float>;

namespace {

/// x [rows, size] times a parameter "w" [size, columns], whose columns the
/// devices split, with a state "s".
TestArtifact product(uint64_t rows, uint64_t size, uint64_t columns,
                     uint32_t devices) {
  TestArtifact artifact({{"tp", devices}});
  artifact.addParameter("w", FbType::F32, {size, columns}, {-1, 0});
  artifact.addState("s", FbType::F32, {10}, {-1});
  uint64_t mine = columns / devices, gap = 256;
  uint64_t xBytes = rows * size * 4, yBytes = rows * mine * 4;
  uint64_t y = (xBytes + gap - 1) / gap * gap;
  artifact.addProgram("main", y + yBytes);
  artifact.addInput("x", FbType::F32, {rows, size}, {-1, -1}, arena(0, xBytes));
  artifact.addOutput("y", FbType::F32, {rows, columns}, {-1, 0},
                     arena(y, yBytes));
  artifact.addMatmul(arena(0, xBytes),
                     {FbSpace::Parameter, 0, 0, size * mine * 4},
                     arena(y, yBytes), rows, size, mine);
  return onGpus(std::move(artifact));
}

class Load : public CudaTest {
protected:
  WeightSource weights(uint64_t size, uint64_t columns) {
    Values values(size * columns);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = float(i % 13) - 6;
    writeBytes(folder.file("w.safetensors"),
               safetensors({{"w", {size, columns}, values}}));
    return *WeightSource::open(folder.file("w.safetensors"));
  }

  /// Rows of ones times w: the sums of its columns.
  void expectRight(Executable &executable, uint64_t rows, uint64_t size,
                   uint64_t columns) {
    auto outputs = executable.run(
        "main", {tensorF32({rows, size}, Values(rows * size, 1))});
    ASSERT_TRUE(outputs) << outputs.error().message;
    Values found = valuesF32((*outputs)[0]);
    for (uint64_t i = 0; i < found.size(); ++i) {
      float expected = 0;
      for (uint64_t k = 0; k < size; ++k)
        expected += float((k * columns + i % columns) % 13) - 6;
      ASSERT_EQ(found[i], expected) << i;
    }
  }

  std::string errorOf(const TestArtifact &artifact,
                      const LoadOptions &options = {}) {
    auto loaded = Executable::load(artifact.bytes(), {}, options);
    return loaded ? "" : loaded.error().message;
  }
  void expectError(const TestArtifact &artifact,
                   std::initializer_list<std::string_view> parts) {
    std::string error = errorOf(artifact);
    for (std::string_view part : parts)
      EXPECT_NE(error.find(part), std::string::npos)
          << "expected '" << part << "' in '" << error << "'";
  }

  TemporaryFolder folder;
};

/// Blocks that are larger than both staging buffers together.
TEST_F(Load, WeightsGoThroughStaging) {
  constexpr uint64_t size = 4, columns = 5 << 20;
  for (auto order : {fake::Settings::Order::OldestStream,
                     fake::Settings::Order::NewestStream}) {
    start({.order = order});
    auto loaded = load(product(1, size, columns, 2), weights(size, columns));
    ASSERT_TRUE(loaded);
    EXPECT_EQ(loaded->statistics().devices[1].weightBytes,
              size * columns / 2 * 4);
    expectRight(*loaded, 1, size, columns);
  }
}

TEST_F(Load, ExecutablesShareWeightsAndStates) {
  LoadOptions options;
  options.storage = createSharedStorage();
  WeightSource source = weights(16, 8);
  auto first = load(product(3, 16, 8, 2), source, options);
  auto second = load(product(5, 16, 8, 2), source, options);
  ASSERT_TRUE(first && second);
  DeviceStatistics device = second->statistics().devices[1];
  EXPECT_EQ(first->statistics().devices[1].sharedBytes, 0u);
  EXPECT_EQ(device.sharedBytes, device.weightBytes + device.stateBytes);
  EXPECT_EQ(device.loadBytes, 0u);
  ASSERT_TRUE(first->writeState("s", tensorF32({10}, Values(10, 7))));
  EXPECT_EQ(valuesF32(*second->readState("s")), Values(10, 7));
  first.reset();
  expectRight(*second, 5, 16, 8);
}

TEST_F(Load, CpusAndGpusShareNothing) {
  LoadOptions options;
  options.storage = createSharedStorage();
  auto cpu = load(smallArtifact(), {}, options);
  EXPECT_NE(errorOf(onGpus(smallArtifact()), options)
                .find("expected the kind of devices"),
            std::string::npos);
}

TEST_F(Load, MissingMemoryIsKnownBefore) {
  fake::Machine &machine = start({.memoryBytes = 200});
  expectError(onGpus(smallArtifact()), {"GPU 0 (Fake)", "expected 1.0 KiB",
                                        "for 2 devices", "found 192 bytes"});
  EXPECT_EQ(std::ranges::count(machine.calls, "cuMemHostAlloc"), 0);
}

TEST_F(Load, PlansWithoutGpu) {
  start({.gpus = 0});
  auto planned = Executable::planMemory(product(3, 16, 8, 2).bytes());
  ASSERT_TRUE(planned) << planned.error().message;
  EXPECT_EQ(planned->weightBytes, 16u * 4 * 4);
  EXPECT_EQ(planned->stateBytes, 40u);
  EXPECT_EQ(planned->scratchBytes, Blas::workspaceBytes);
  expectError(onGpus(smallArtifact()), {"the driver finds no NVIDIA GPU"});
}

TEST_F(Load, OneGpuForEachDeviceOrOneForAll) {
  start({.gpus = 3});
  TestArtifact artifact({{"tp", 4}});
  artifact.addProgram("main", 64);
  expectError(onGpus(std::move(artifact)),
              {"expected 4 GPUs", "found 3", "CUDA_VISIBLE_DEVICES"});
}

TEST_F(Load, ChoosesTheNewestImageThatRuns) {
  auto image = [](std::string isa) { return KernelImage{std::move(isa), {}}; };
  std::vector<KernelImage> images{image("sm_80"), image("sm_100"),
                                  image("sm_90a"), image("sm_90"),
                                  image("avx2")};
  EXPECT_EQ(chooseImage(images, 75), nullptr);
  EXPECT_EQ(chooseImage(images, 86), &images[0]);
  EXPECT_EQ(chooseImage(images, 90), &images[3]);
  EXPECT_EQ(chooseImage(images, 120), &images[1]);
  expectError(onGpus(smallArtifact(), "sm_100"),
              {"GPU 0 (Fake)", "sm_90 or less", "found [sm_100]"});
}

TEST_F(Load, ShowsWhatTheAssemblerSays) {
  TestArtifact artifact = onGpus(smallArtifact());
  std::string text = "no PTX";
  artifact.table.images[0]->bytes = {text.c_str(), text.c_str() + 7};
  expectError(artifact, {"cannot load the kernels", "missing .version"});
  artifact.table.images[0]->bytes = {text.c_str(), text.c_str() + 6};
  expectError(artifact, {"does not end with a zero"});
}

TEST_F(Load, RefusesStepsThatNothingComputes) {
  TestArtifact attention;
  attention.addProgram("main", 1024);
  attention.addAttention(arena(0, 32), arena(64, 48), arena(128, 48),
                         arena(192, 32));
  expectError(onGpus(std::move(attention)),
              {"step 'attention' (test.mlir:1)", "expected a generated kernel",
               "compile it for the device 'cuda'"});
  TestArtifact integers;
  integers.addProgram("main", 1024);
  integers.addMatmul(arena(0, 16), arena(64, 16), arena(128, 16), 2, 2, 2,
                     FbType::I32);
  expectError(onGpus(std::move(integers)),
              {"step 'matmul' (test.mlir:1)", "expected a product of f32",
               "compile it for the device 'cuda'"});
}

} // namespace
