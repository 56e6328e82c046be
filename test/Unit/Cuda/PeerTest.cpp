// Small all-reduces over memory of peers: when they are used, and how they end.
// What they compute is in NcclTest's conformance suite.
#include "../Runtime/GroupHarness.h"
#include "CudaArtifact.h"
#include "comm/cuda/PeerReduce.h"

#include <latch>
#include <numeric>

using namespace tpcrt;
using namespace tpcrt::test;
using Values = std::vector<float>;

namespace {

class Peers : public CudaTest {
protected:
  static std::unique_ptr<Executable>
  loadSmall(LoadOptions options = {},
            std::shared_ptr<ProcessGroup> processes = nullptr) {
    options.processes = std::move(processes);
    return load(onGpus(smallArtifact()), {}, options);
  }
  static std::vector<Values> runMain(Executable &executable) {
    Values x(10), y(10);
    std::iota(x.begin(), x.end(), 0);
    std::iota(y.begin(), y.end(), 100);
    auto outputs =
        executable.run("main", {tensorF32({10}, x), tensorF32({10}, y)});
    std::vector<Values> values;
    if (!outputs)
      ADD_FAILURE() << outputs.error().message;
    else
      for (const HostTensor &output : *outputs)
        values.push_back(valuesF32(output));
    return values;
  }
  /// What the profile says of the only collective.
  static std::string collectiveOf(LoadOptions options) {
    options.profile = true;
    auto gpu = loadSmall(options);
    runMain(*gpu);
    for (const StepTime &step : gpu->profile())
      if (step.kind == "collective")
        return step.implementation;
    return "";
  }
};

TEST_F(Peers, TakeWhatIsFasterAndFits) {
  auto takes = [](uint32_t members, uint64_t bytes,
                  CollectiveKind kind = CollectiveKind::AllReduce,
                  bool oneLaunch = true) {
    CollectiveOp op;
    op.kind = kind;
    op.oneLaunch = oneLaunch;
    op.type = ElementType::BF16;
    op.count = bytes / 2;
    op.axes = {{0, 1, members}};
    return PeerReduce::takes(op);
  };
  EXPECT_TRUE(takes(2, 2));
  EXPECT_TRUE(takes(4, 512 << 10));
  EXPECT_FALSE(takes(4, (512 << 10) + 2));
  EXPECT_TRUE(takes(8, 512 << 10));
  EXPECT_FALSE(takes(4, 2, CollectiveKind::AllReduce, false));
  EXPECT_FALSE(takes(16, 2));
  EXPECT_FALSE(takes(1, 2));
  EXPECT_FALSE(takes(2, 0));
  EXPECT_FALSE(takes(2, 2, CollectiveKind::ReduceScatter));
}

/// Several runs, so that both halves of the mailboxes are used again, in every
/// order of the streams; with NCCL for nothing.
TEST_F(Peers, ReduceInOneProcess) {
  for (unsigned seed = 0; seed < 8; ++seed) {
    fake::Machine &machine = start(
        {.gpus = 2, .order = fake::Settings::Order::Random, .seed = seed});
    auto cpu = load(smallArtifact());
    auto gpu = loadSmall();
    ASSERT_TRUE(cpu && gpu);
    for (int run = 0; run < 6; ++run)
      EXPECT_EQ(runMain(*gpu), runMain(*cpu));
    EXPECT_EQ(std::ranges::count(machine.calls, "kernel peer_sum_f32"),
              2 * 2); // once in streams, once captured
    EXPECT_EQ(std::ranges::count(machine.calls, "ncclAllReduce"), 0);
    gpu.reset();
    expectClean();
  }
}

/// One after the other, so that a member begins the next while another still
/// reads what it has brought to the last.
TEST_F(Peers, ReduceAgainWhileOthersStillRead) {
  TestArtifact artifact({{"tp", 2}});
  artifact.addProgram("main", 128);
  artifact.addInput("x", FbType::F32, {10}, {0}, arena(0, 20));
  artifact.addOutput("y", FbType::F32, {5}, {-1}, arena(0, 20));
  for (int i = 0; i < 3; ++i) {
    artifact.addCollective(fb::CollectiveKind::AllReduce, {0}, arena(0, 20),
                           arena(64, 20), 5);
    artifact.addCollective(fb::CollectiveKind::AllReduce, {0}, arena(64, 20),
                           arena(0, 20), 5);
  }
  std::vector<HostTensor> inputs{
      tensorF32({10}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10})};
  Values expected{7 * 32, 9 * 32, 11 * 32, 13 * 32, 15 * 32};
  for (unsigned seed = 0; seed < 8; ++seed) {
    start({.gpus = 2, .order = fake::Settings::Order::Random, .seed = seed});
    auto gpu = load(onGpus(artifact));
    ASSERT_TRUE(gpu);
    for (int run = 0; run < 3; ++run) {
      auto outputs = gpu->run("main", inputs);
      ASSERT_TRUE(outputs) << outputs.error().message;
      EXPECT_EQ(valuesF32((*outputs)[0]), expected) << seed;
    }
    gpu.reset();
    expectClean();
  }
}

TEST_F(Peers, ReduceInTwoProcesses) {
  fake::Machine &machine = start({.gpus = 2});
  auto cpu = load(smallArtifact());
  std::vector<std::vector<Values>> expected;
  for (int run = 0; run < 4; ++run)
    expected.push_back(runMain(*cpu));
  inProcesses(2, [&](const std::shared_ptr<ProcessGroup> &group) {
    auto gpu = loadSmall({}, group);
    ASSERT_TRUE(gpu);
    for (int run = 0; run < 4; ++run)
      EXPECT_EQ(runMain(*gpu), expected[run]);
    gpu.reset();
    EXPECT_TRUE(group->close());
  });
  EXPECT_EQ(std::ranges::count(machine.calls, "ncclAllReduce"), 0);
}

TEST_F(Peers, ProfilesSayWhatComputes) {
  start({.gpus = 2});
  EXPECT_NE(collectiveOf({}).find("peer memory"), std::string::npos);
  LoadOptions without;
  without.peerMemory = false;
  EXPECT_TRUE(collectiveOf(without).ends_with(" nccl"));
  start({.gpus = 2, .peers = false});
  EXPECT_NE(collectiveOf({}).find(
                "nccl (GPU 0 (Fake) cannot read memory of GPU 1 (Fake))"),
            std::string::npos)
      << collectiveOf({});
}

/// Memory that one process cannot open, none uses.
TEST_F(Peers, ProcessesAgree) {
  fake::Machine &machine = start({.gpus = 2, .peers = false});
  inProcesses(2, [&](const std::shared_ptr<ProcessGroup> &group) {
    auto gpu = loadSmall({}, group);
    ASSERT_TRUE(gpu);
    runMain(*gpu);
    gpu.reset();
    EXPECT_TRUE(group->close());
  });
  EXPECT_GT(std::ranges::count(machine.calls, "ncclAllReduce"), 0);
}

/// A kernel that waits for a peer that has given up ends, and its memory goes.
TEST_F(Peers, AreNotWaitedForAfterAFailure) {
  start({.gpus = 2});
  std::latch ended(2);
  inProcesses(2, [&](const std::shared_ptr<ProcessGroup> &group) {
    auto gpu = loadSmall({}, group);
    ASSERT_TRUE(gpu);
    if (group->rank() == 1) {
      group->abort("enough");
    } else {
      auto outputs = gpu->run(
          "main", {tensorF32({10}, Values(10)), tensorF32({10}, Values(10))});
      ASSERT_FALSE(outputs);
      EXPECT_NE(outputs.error().message.find("rank 1: enough"),
                std::string::npos)
          << outputs.error().message;
    }
    ended.arrive_and_wait();
  });
}

} // namespace
