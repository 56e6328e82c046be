// What a load will allocate against what there is.
#include "TestArtifact.h"
#include "TestFiles.h"
#include "executor/MemoryNeed.h"
#include "tpcrt/AvailableMemory.h"

#include <filesystem>
#include <gtest/gtest.h>

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

/// A tree of files that stands in for the system's.
struct FakeSystem : TemporaryFolder {
  void write(const std::string &name, const std::string &text) {
    std::filesystem::create_directories(
        std::filesystem::path(file(name)).parent_path());
    writeBytes(file(name), text);
  }
  std::optional<uint64_t> available() const { return availableMemory(path); }
};

constexpr const char *meminfo =
    "MemTotal:  16000 kB\nMemFree:  10 kB\nMemAvailable:  1000 kB\n";

TEST(AvailableMemory, OfThisMachine) {
  auto available = availableMemory();
  ASSERT_TRUE(available);
  EXPECT_GT(*available, uint64_t(1) << 20);
  EXPECT_LT(*available, uint64_t(1) << 50);
}

TEST(AvailableMemory, NothingIsKnown) {
  FakeSystem system;
  EXPECT_EQ(system.available(), std::nullopt);
  system.write("proc/meminfo", "MemAvailable: many\n");
  system.write("proc/self/cgroup", "nonsense\n0::\n:::");
  EXPECT_EQ(system.available(), std::nullopt);
}

TEST(AvailableMemory, Meminfo) {
  FakeSystem system;
  system.write("proc/meminfo", meminfo);
  EXPECT_EQ(system.available(), 1000u * 1024);
}

TEST(AvailableMemory, LeastOfNestedGroups) {
  FakeSystem system;
  system.write("proc/meminfo", meminfo);
  system.write("proc/self/cgroup", "0::/a/b\n");
  system.write("sys/fs/cgroup/a/b/memory.max", "max\n");
  system.write("sys/fs/cgroup/a/b/memory.current", "5\n");
  EXPECT_EQ(system.available(), 1000u * 1024);
  system.write("sys/fs/cgroup/a/memory.max", "9000\n");
  system.write("sys/fs/cgroup/a/memory.current", "5000\n");
  EXPECT_EQ(system.available(), 4000u);
  // Pages of files can go.
  system.write("sys/fs/cgroup/a/memory.stat", "anon 3000\nfile 2000\n");
  EXPECT_EQ(system.available(), 6000u);
  system.write("sys/fs/cgroup/a/memory.current", "99000\n");
  EXPECT_EQ(system.available(), 0u);
}

TEST(AvailableMemory, GroupsOfVersionOneInAContainer) {
  FakeSystem system;
  system.write("proc/meminfo", meminfo);
  system.write("proc/self/cgroup", "7:cpu:/\n4:memory:/outside/path\n0::/\n");
  system.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9000\n");
  system.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "8000\n");
  system.write("sys/fs/cgroup/memory/memory.stat", "total_cache 500\n");
  EXPECT_EQ(system.available(), 1500u);
}

TEST(MemoryNeed, BothFiguresAreSaid) {
  MemoryNeed need;
  need.weights = uint64_t(3) << 30;
  need.states = 512;
  need.devices = 2;
  EXPECT_TRUE(checkMemory(need, std::nullopt));
  EXPECT_TRUE(checkMemory(need, need.total()));
  auto refused = checkMemory(need, uint64_t(1) << 20);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.find(
                "expected 3.0 GiB of memory for 2 devices, found 1.0 MiB "
                "available; 3.0 GiB weights, 512 bytes states"),
            0u)
      << refused.error().message;
  need.values = UINT64_MAX - 5;
  EXPECT_EQ(need.total(), UINT64_MAX);
}

std::string loadError(const TestArtifact &artifact) {
  auto loaded = Executable::load(artifact.bytes(), {});
  return loaded ? "" : loaded.error().message;
}

/// Sizes that the checks of an artifact let pass.
constexpr uint64_t large = uint64_t(1) << 48;

TEST(MemoryNeed, TooLargeIsRefusedBeforeItIsAllocated) {
  TestArtifact arena;
  arena.addProgram("main", large);
  EXPECT_NE(loadError(arena).find("expected 256.0 TiB of memory for 1 device"),
            std::string::npos)
      << loadError(arena);

  TestArtifact states({{"tp", 2}});
  states.addProgram("main", 0);
  states.addState("cache", FbType::F32, {large, 2}, {-1, 0});
  EXPECT_NE(loadError(states).find("2048.0 TiB states"), std::string::npos)
      << loadError(states);

  TestArtifact outputs({{"tp", 4}});
  outputs.addProgram("main", 0);
  outputs.program().arena_bytes = large;
  outputs.addOutput("y", FbType::I32, {large}, {0},
                    FbRef(FbSpace::Arena, 0, 0, large));
  EXPECT_NE(loadError(outputs).find("1024.0 TiB outputs"), std::string::npos)
      << loadError(outputs);
}

TEST(MemoryNeed, IsWhatIsAllocated) {
  TestArtifact artifact = smallArtifact();
  artifact.addParameter("w", FbType::F32, {4, 6}, {-1, 0});
  artifact.addMatmul(FbRef(FbSpace::Arena, 0, 320, 32),
                     {FbSpace::Parameter, 0, 0, 48},
                     FbRef(FbSpace::Arena, 0, 384, 24), 2, 4, 3);
  TemporaryFolder folder;
  writeBytes(folder.file("w.safetensors"),
             safetensors({{"w", {4, 6}, std::vector<float>(24)}}));
  auto executable =
      load(artifact, *WeightSource::open(folder.file("w.safetensors")));
  ASSERT_TRUE(executable);
  Statistics statistics = executable->statistics();
  // Known from the artifact alone, also from one whose kernels are not
  // compiled.
  artifact.table.images.clear();
  auto planned = Executable::planMemory(artifact.bytes());
  ASSERT_TRUE(planned) << planned.error().message;
  for (const DeviceStatistics &device : statistics.devices) {
    EXPECT_EQ(planned->weightBytes, device.weightBytes);
    EXPECT_EQ(planned->packedBytes, device.packedBytes);
    EXPECT_EQ(planned->stateBytes, device.stateBytes);
    EXPECT_EQ(planned->arenaBytes, device.arenaBytes);
    EXPECT_EQ(planned->scratchBytes, device.scratchBytes);
  }
  EXPECT_GT(planned->packedBytes + planned->weightBytes, 0u);
  EXPECT_NE(loadError(artifact).find("no kernel image for this CPU"),
            std::string::npos);
}

} // namespace
