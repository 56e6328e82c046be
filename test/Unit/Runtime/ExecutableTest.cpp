// Whole runs: kernels, collectives, states, several devices on few threads.
#include "TestArtifact.h"

#include <cmath>
#include <gtest/gtest.h>
#include <numeric>
#include <thread>

using namespace tpcrt;
using namespace tpcrt::test;
using Values = std::vector<float>;

namespace {

HostTensor iota(uint64_t size, float first) {
  Values values(size);
  std::iota(values.begin(), values.end(), first);
  return tensorF32({size}, values);
}

TEST(Executable, RunsEveryKindOfStep) {
  for (unsigned threads : {1, 2, 4}) {
    LoadOptions options;
    options.threads = threads;
    auto executable = load(smallArtifact(), {}, options);
    ASSERT_TRUE(executable);
    auto outputs = executable->run("main", {iota(10, 0), iota(10, 100)});
    ASSERT_TRUE(outputs) << outputs.error().message;
    EXPECT_EQ(valuesF32((*outputs)[0]),
              (Values{100, 102, 104, 106, 108, 110, 112, 114, 116, 118}));
    // Elements i and i + 5 of the sum, added, times the constant 7.
    EXPECT_EQ(valuesF32((*outputs)[1]),
              (Values{7 * 210, 7 * 214, 7 * 218, 7 * 222, 7 * 226}));
  }
}

TEST(Executable, StatesPersistUntilReset) {
  auto executable = load(smallArtifact());
  ASSERT_TRUE(executable);
  std::vector<HostTensor> inputs{iota(10, 0), iota(10, 0)};
  for (int run = 1; run <= 3; ++run) {
    auto outputs = executable->run("main", inputs);
    ASSERT_TRUE(outputs);
    EXPECT_EQ(valuesF32((*outputs)[2])[9], 18.0f * run);
  }
  EXPECT_EQ(valuesF32(*executable->readState("total"))[9], 54.0f);
  ASSERT_TRUE(executable->writeState("total", iota(10, 1000)));
  auto outputs = executable->run("main", inputs);
  EXPECT_EQ(valuesF32((*outputs)[2])[9], 1009.0f + 18.0f);
  ASSERT_TRUE(executable->resetStates());
  EXPECT_EQ(valuesF32(*executable->readState("total")), Values(10, 0));
}

TEST(Executable, DescribesItsPrograms) {
  auto executable = load(smallArtifact());
  ASSERT_TRUE(executable);
  const ProgramInfo *program = executable->findProgram("main");
  ASSERT_TRUE(program);
  EXPECT_EQ(executable->findProgram("other"), nullptr);
  EXPECT_EQ(program->inputs.size(), 2u);
  EXPECT_EQ(program->outputs[1].name, "halves");
  EXPECT_EQ(program->kernelSteps, 3u);
  EXPECT_EQ(program->collectiveSteps, 1u);
  EXPECT_EQ(executable->states()[0].shape, std::vector<uint64_t>{10});
  Statistics statistics = executable->statistics();
  ASSERT_EQ(statistics.devices.size(), 2u);
  EXPECT_EQ(statistics.devices[1].stateBytes, 20u);
  EXPECT_EQ(statistics.devices[1].arenaBytes, 512u);
  EXPECT_EQ(statistics.constantBytes, 8u);
  EXPECT_EQ(statistics.kernelIsa, "avx2");
  EXPECT_NE(toJson(statistics).find("\"state_bytes\": 20"), std::string::npos);
}

TEST(Executable, RefusesWrongInputs) {
  auto executable = load(smallArtifact());
  ASSERT_TRUE(executable);
  auto errorOf = [&](std::string_view program, std::vector<HostTensor> inputs) {
    auto result = executable->run(program, inputs);
    return result ? "" : result.error().message;
  };
  EXPECT_EQ(errorOf("other", {}),
            "there is no program 'other'; there are [main]");
  EXPECT_EQ(errorOf("main", {iota(10, 0)}), "expected 2 inputs, found 1");
  EXPECT_EQ(errorOf("main", {iota(10, 0), iota(9, 0)}),
            "input 'y': expected 10xf32, found 9xf32");
  EXPECT_EQ(errorOf("main", {iota(10, 0), HostTensor(ElementType::I32, {10})}),
            "input 'y': expected 10xf32, found 10xi32");
  EXPECT_FALSE(executable->readState("none"));
  EXPECT_FALSE(executable->writeState("total", iota(9, 0)));
}

/// Inputs that are split unevenly come out as they went in, and their padding
/// is zero on the device.
TEST(Executable, UnevenBlocksAndTheirPadding) {
  TestArtifact artifact({{"dp", 2}, {"tp", 4}});
  artifact.addProgram("main", 1024);
  // 3 x 10 over (dp, tp): blocks of 2 x 3.
  artifact.addInput("x", FbType::F32, {3, 10}, {0, 1}, arena(0, 24));
  artifact.addOutput("copy", FbType::F32, {3, 10}, {0, 1}, arena(0, 24));
  artifact.addOutput("blocks", FbType::F32, {8 * 6}, {0}, arena(64, 24 * 4));
  artifact.program().outputs[1]->placement =
      std::make_unique<fb::PlacementT>(artifact.placement({0}));
  artifact.addCollective(fb::CollectiveKind::AllGather, {1}, arena(0, 24),
                         arena(64, 96), 6);
  // Programs share the arena: this one leaves rubbish in it.
  artifact.addProgram("dirty", 1024);
  artifact.addKernelStep("rangeSize", {arena(0, 1024)}, 0, 256);
  auto executable = load(artifact);
  ASSERT_TRUE(executable);
  Values values(30);
  std::iota(values.begin(), values.end(), 1);
  ASSERT_TRUE(executable->run("dirty", {}));
  auto outputs = executable->run("main", {tensorF32({3, 10}, values)});
  ASSERT_TRUE(outputs) << outputs.error().message;
  EXPECT_EQ(valuesF32((*outputs)[0]), values);
  Values expected;
  for (int dp = 0; dp < 2; ++dp)
    for (int tp = 0; tp < 4; ++tp)
      for (int row = dp * 2; row < dp * 2 + 2; ++row)
        for (int column = tp * 3; column < tp * 3 + 3; ++column)
          expected.push_back(row < 3 && column < 10 ? 1 + row * 10 + column
                                                    : 0);
  EXPECT_EQ(valuesF32((*outputs)[1]), expected);
}

TEST(Executable, DeviceScalarsDiffer) {
  TestArtifact artifact({{"tp", 4}});
  auto scalar = std::make_unique<fb::DeviceScalarT>();
  scalar->values = {1, 10, 100, 1000};
  artifact.table.device_scalars.push_back(std::move(scalar));
  artifact.addProgram("main", 128);
  artifact.addInput("x", FbType::F32, {4}, {0}, arena(0, 4));
  artifact.addOutput("y", FbType::F32, {4}, {0}, arena(64, 4));
  artifact.addKernelStep(
      "scale", {arena(0, 4), {FbSpace::DeviceScalar, 0, 0, 8}, arena(64, 4)}, 2,
      1);
  auto executable = load(artifact);
  ASSERT_TRUE(executable);
  auto outputs = executable->run("main", {tensorF32({4}, {1, 2, 3, 4})});
  EXPECT_EQ(valuesF32((*outputs)[0]), (Values{1, 20, 300, 4000}));
}

/// A replicated output is read from device 0.
TEST(Executable, ReplicatedOutputComesFromTheFirstHolder) {
  TestArtifact artifact({{"tp", 2}});
  auto scalar = std::make_unique<fb::DeviceScalarT>();
  scalar->values = {5, 6};
  artifact.table.device_scalars.push_back(std::move(scalar));
  artifact.addProgram("main", 128);
  artifact.addInput("x", FbType::F32, {}, {}, arena(0, 4));
  artifact.addOutput("y", FbType::F32, {}, {}, arena(64, 4));
  artifact.addKernelStep(
      "scale", {arena(0, 4), {FbSpace::DeviceScalar, 0, 0, 8}, arena(64, 4)}, 2,
      1);
  auto executable = load(artifact);
  ASSERT_TRUE(executable);
  auto outputs = executable->run("main", {tensorF32({}, {1})});
  EXPECT_EQ(valuesF32((*outputs)[0]), (Values{5}));
}

/// With more threads than devices, a device's tiles are divided.
TEST(Executable, TilesAreDividedAmongThreads) {
  TestArtifact artifact;
  artifact.addProgram("main", 4096);
  artifact.addOutput("sizes", FbType::F32, {1000}, {-1}, arena(0, 4000));
  artifact.addKernelStep("rangeSize", {arena(0, 4000)}, 0, 1000);
  for (unsigned threads : {1, 2, 3}) {
    LoadOptions options;
    options.threads = threads;
    auto executable = load(artifact, {}, options);
    ASSERT_TRUE(executable);
    auto outputs = executable->run("main", {});
    ASSERT_TRUE(outputs);
    Values sizes = valuesF32((*outputs)[0]);
    // Every tile ran once, in `threads` ranges (fewer if the machine is busy).
    float ranges = 0;
    for (float size : sizes) {
      ASSERT_GT(size, 1.0f);
      ranges += 1.0f / (size - 1.0f);
    }
    EXPECT_NEAR(ranges, std::round(ranges), 1e-3);
    EXPECT_LE(ranges, threads + 1e-3);
    if (threads == 1)
      EXPECT_EQ(sizes, Values(1000, 1001));
  }
}

TEST(Executable, CallsFromSeveralThreadsTakeTurns) {
  auto executable = load(smallArtifact());
  ASSERT_TRUE(executable);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        auto outputs = executable->run("main", {iota(10, 0), iota(10, 0)});
        ASSERT_TRUE(outputs);
        EXPECT_EQ(valuesF32((*outputs)[0])[9], 18.0f);
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(valuesF32(*executable->readState("total"))[9], 18.0f * 200);
}

/// Many devices on few workers, many collectives in a row, one result always.
TEST(Executable, ManyDevicesManyCollectives) {
  TestArtifact artifact({{"x", 8}});
  artifact.addProgram("main", 1024);
  artifact.addInput("x", FbType::F32, {16}, {0}, arena(0, 8));
  artifact.addOutput("y", FbType::F32, {2}, {-1}, arena(0, 8));
  for (int i = 0; i < 20; ++i)
    artifact
        .addCollective(fb::CollectiveKind::AllReduce, {0}, arena(0, 8),
                       arena(0, 8), 2)
        .reduction = i == 0 ? fb::Reduction::Sum : fb::Reduction::Max;
  auto executable = load(artifact);
  ASSERT_TRUE(executable);
  for (int run = 0; run < 200; ++run) {
    auto outputs = executable->run("main", {iota(16, 0)});
    ASSERT_TRUE(outputs) << outputs.error().message;
    EXPECT_EQ(valuesF32((*outputs)[0]), (Values{56, 64}));
  }
}

/// Device 1 computes for long; device 0 waits for it no longer than allowed,
/// and the executable can be used again.
TEST(Executable, DeadlineNamesWhoIsMissing) {
  TestArtifact artifact({{"x", 2}});
  auto rounds = std::make_unique<fb::DeviceScalarT>();
  rounds->values = {0, 1'000'000'000};
  artifact.table.device_scalars.push_back(std::move(rounds));
  artifact.addProgram("slow", 64);
  artifact.addKernelStep("spin", {{FbSpace::DeviceScalar, 0, 0, 8}}, 1, 1);
  artifact.addCollective(fb::CollectiveKind::AllReduce, {0}, arena(0, 4),
                         arena(0, 4), 1);
  artifact.addProgram("fast", 64);
  artifact.addInput("x", FbType::F32, {2}, {0}, arena(0, 4));
  artifact.addOutput("y", FbType::F32, {1}, {-1}, arena(0, 4));
  artifact.addCollective(fb::CollectiveKind::AllReduce, {0}, arena(0, 4),
                         arena(0, 4), 1);
  LoadOptions options;
  options.threads = 2;
  options.deadline = std::chrono::milliseconds(20);
  auto executable = load(artifact, {}, options);
  ASSERT_TRUE(executable);
  auto outputs = executable->run("slow", {});
  ASSERT_FALSE(outputs);
  EXPECT_EQ(outputs.error().message,
            "no progress for 20 ms: device 0: all_reduce 'collective' at "
            "test.mlir:2 waits for device 1");
  outputs = executable->run("fast", {tensorF32({2}, {3, 4})});
  ASSERT_TRUE(outputs) << outputs.error().message;
  EXPECT_EQ(valuesF32((*outputs)[0]), (Values{7}));
}

std::string loadError(const TestArtifact &artifact) {
  auto loaded = Executable::load(artifact.bytes(), {});
  return loaded ? "" : loaded.error().message;
}

TEST(Executable, KernelImageProblems) {
  TestArtifact missing = smallArtifact();
  missing.table.kernels[0] = "subtract";
  EXPECT_EQ(loadError(missing),
            "artifact: kernel image 'avx2' has no kernel 'subtract'");
  TestArtifact damaged = smallArtifact();
  damaged.table.images[0]->bytes[0] = 'X';
  EXPECT_NE(loadError(damaged).find("ELF"), std::string::npos);
  TestArtifact shortened = smallArtifact();
  shortened.table.images[0]->bytes.resize(100);
  EXPECT_NE(loadError(shortened).find("cannot load the kernel image"),
            std::string::npos);
  TestArtifact other = smallArtifact();
  other.table.images[0]->isa = "sve";
  EXPECT_NE(loadError(other).find("found [sve]"), std::string::npos);
}

TEST(Executable, EmptyTensorsAndPrograms) {
  TestArtifact artifact({{"x", 2}});
  artifact.addProgram("main", 0);
  artifact.addInput("x", FbType::F32, {0, 4}, {0, -1}, arena(0, 0));
  artifact.addOutput("y", FbType::F32, {0, 4}, {0, -1}, arena(0, 0));
  auto executable = load(artifact);
  ASSERT_TRUE(executable);
  auto outputs =
      executable->run("main", {HostTensor(ElementType::F32, {0, 4})});
  ASSERT_TRUE(outputs);
  EXPECT_EQ((*outputs)[0].size(), 0u);
}

} // namespace
