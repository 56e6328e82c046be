//===- TopologyMachineTest.cpp - Machines that are made up, described -----===//

#include "tpc/Driver/TopologyMachine.h"
#include "FakeSystem.h"
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

using namespace tpc;
using namespace tpcrt::test;

namespace {

/// The description of a topology, which is written and read back.
TopologyMachine described(const tpcrt::Topology &topology) {
  auto made = describeTopology(topology);
  EXPECT_TRUE(made) << made.error().message;
  TemporaryFolder folder;
  std::ofstream(folder.file("m.json")) << machineText(made->machine);
  std::string error;
  auto read = machineByNameOrFile(folder.file("m.json"), error);
  EXPECT_TRUE(succeeded(read)) << error;
  EXPECT_EQ(machineText(*read), machineText(made->machine));
  return *made;
}

std::string errorOf(const tpcrt::Topology &topology) {
  auto made = describeTopology(topology);
  return made ? "" : made.error().message;
}

void expectNote(const TopologyMachine &found, const std::string &part) {
  std::string all;
  for (const std::string &note : found.notes)
    all += note + "\n";
  EXPECT_NE(all.find(part), all.npos) << part << "\nin\n" << all;
}

double bestRing(const Link &link) {
  double best = 0;
  for (const LinkAlgorithm &algorithm : link.algorithms)
    if (algorithm.kind == LinkAlgorithm::Ring)
      best = std::max(best, algorithm.bytesPerMicro);
  return best;
}

/// Within two percent everywhere.
void expectClose(double found, double expected) {
  EXPECT_NEAR(found, expected, 0.02 * expected);
}

void expectClose(const Machine &found, const Machine &expected) {
  expectClose(found.flops16, expected.flops16);
  expectClose(found.flopsF32, expected.flopsF32);
  expectClose(found.flopsF64, expected.flopsF64);
  expectClose(found.memoryBytesPerMicro, expected.memoryBytesPerMicro);
  expectClose(found.operationMicros, expected.operationMicros);
  expectClose(*found.memoryBytes, *expected.memoryBytes);
  EXPECT_EQ(found.sharedByDevices, expected.sharedByDevices);
  EXPECT_EQ(found.overlapsMemory, expected.overlapsMemory);
  ASSERT_EQ(found.links.size(), expected.links.size());
  for (size_t i = 0; i < found.links.size(); ++i) {
    const Link &link = found.links[i], &other = expected.links[i];
    EXPECT_EQ(link.name, other.name);
    EXPECT_EQ(link.devices, other.devices);
    ASSERT_EQ(link.algorithms.size(), other.algorithms.size());
    for (size_t j = 0; j < link.algorithms.size(); ++j) {
      EXPECT_EQ(link.algorithms[j].name, other.algorithms[j].name);
      EXPECT_EQ(link.algorithms[j].kind, other.algorithms[j].kind);
      expectClose(link.algorithms[j].bytesPerMicro,
                  other.algorithms[j].bytesPerMicro);
      expectClose(link.algorithms[j].baseMicros,
                  other.algorithms[j].baseMicros);
      expectClose(link.algorithms[j].hopMicros, other.algorithms[j].hopMicros);
    }
  }
}

TEST(TopologyMachine, BoxOfH100IsTheBuiltInOne) {
  FakeSystem system;
  makeServer(system);
  TopologyMachine found = described(system.read());
  EXPECT_EQ(found.machine.name, "8 x NVIDIA H100 80GB HBM3");
  expectClose(found.machine, *findMachine("h100"));
  expectNote(found, "those of the built-in machine h100");
}

TEST(TopologyMachine, BoxesOfOtherBuiltInKinds) {
  struct Kind {
    const char *builtIn, *name;
    unsigned long long memoryMiB;
    int major;
    unsigned links;
    const char *rate; ///< of an adapter
  };
  for (const Kind &kind :
       {Kind{"a100", "NVIDIA A100-SXM4-80GB", 81920, 8, 12, "200 Gb/sec"},
        Kind{"h200", "NVIDIA H200", 143771, 9, 18, "400 Gb/sec"},
        Kind{"b200", "NVIDIA B200", 183359, 10, 18, "400 Gb/sec"}}) {
    SCOPED_TRACE(kind.builtIn);
    FakeSystem system;
    makeServer(system);
    for (unsigned i = 0; i < 8; ++i) {
      FakeGpu &gpu = fakeNvml().gpus[i];
      gpu.name = kind.name;
      gpu.memoryMiB = kind.memoryMiB;
      gpu.major = kind.major;
      gpu.links.assign(kind.links, FakeGpu::toSwitch);
      system.rdmaPort("mlx5_" + std::to_string(i), kind.rate, true,
                      "InfiniBand", 0);
    }
    expectClose(described(system.read()).machine, *findMachine(kind.builtIn));
  }
}

/// An H100 as a PCIe card is no h100: 114 multiprocessors and HBM2e, for which
/// the data sheet has 756 TFLOP/s in bf16 and 2039 GB/s.
TEST(TopologyMachine, RatesOfOtherKindsAreEstimated) {
  FakeSystem system;
  makeServer(system);
  fakeNvml().gpus.resize(1);
  FakeGpu &gpu = fakeNvml().gpus[0];
  gpu.name = "NVIDIA H100 PCIe";
  gpu.cores = 114 * 128;
  gpu.clockMhz = 1755;
  gpu.memoryClockMhz = 1593;
  gpu.links.clear();
  TopologyMachine found = described(system.read());
  expectNote(found, "estimated, as NVIDIA H100 PCIe is not built in");
  EXPECT_NEAR(found.machine.flops16, 0.7 * 756e6, 0.1 * 756e6);
  EXPECT_NEAR(found.machine.memoryBytesPerMicro, 0.85 * 2039e3, 0.02 * 2039e3);
  ASSERT_EQ(found.machine.links.size(), 1u) << "a single GPU has no inner link";
  EXPECT_EQ(found.machine.links[0].name, "network");
  expectClose(bestRing(found.machine.links[0]), 8 * 46e3);

  tpcrt::Topology topology = system.read();
  topology.gpu.gpus[0].cores = 0;
  EXPECT_NE(errorOf(topology).find("expected its memory, number of cores"),
            std::string::npos);
}

/// Names alone do not make a built-in kind.
TEST(TopologyMachine, NamesThatAreClose) {
  for (const char *name :
       {"NVIDIA GH200 480GB", "NVIDIA H100 NVL", "NVIDIA A100-PCIE-80GB",
        "NVIDIA A100-SXM4-40GB", "NVIDIA cpu"}) {
    FakeSystem system;
    makeServer(system);
    for (FakeGpu &gpu : fakeNvml().gpus) {
      gpu.name = name;
      gpu.memoryMiB = 40960;
    }
    expectNote(described(system.read()), "not built in");
  }
}

/// Four cards in two bridged pairs: NVLink, PCIe, then the interface.
TEST(TopologyMachine, BridgedPairs) {
  FakeSystem system;
  makeServer(system);
  std::filesystem::remove_all(system.file("sys/class/infiniband"));
  fakeNvml().gpus.resize(4);
  for (unsigned i = 0; i < 4; ++i) {
    FakeGpu &gpu = fakeNvml().gpus[i];
    gpu.links.assign(12, fakeNvml().gpus[i ^ 1].bus);
    gpu.generation = 1; // idle
  }
  TopologyMachine found = described(system.read());
  const auto &links = found.machine.links;
  ASSERT_EQ(links.size(), 3u);
  EXPECT_EQ(links[0].name, "nvlink");
  EXPECT_EQ(links[0].devices, 2);
  expectClose(bestRing(links[0]), 370e3 * 12 / 18);
  EXPECT_NE(links[0].algorithms.back().name, "NVLS") << "there is no switch";
  EXPECT_EQ(links[1].name, "pcie");
  EXPECT_EQ(links[1].devices, 4);
  expectClose(bestRing(links[1]), 0.8 * 63e3); // PCIe 5 x16
  EXPECT_EQ(links[2].name, "network");
  EXPECT_EQ(links[2].devices, 0);
  expectClose(bestRing(links[2]), 0.92 * 25e3 / 8 / 4);
  expectNote(found, "1 x 25 Gbit/s by interfaces");

  // Pairs that are no neighbours cannot be described.
  for (unsigned i = 0; i < 4; ++i)
    fakeNvml().gpus[i].links.assign(12, fakeNvml().gpus[i ^ 2].bus);
  found = described(system.read());
  EXPECT_EQ(found.machine.links.front().name, "pcie");
  expectNote(found, "nvlink: left out");
}

TEST(TopologyMachine, NoNetworkOfKnownSpeed) {
  FakeSystem system;
  makeServer(system);
  std::filesystem::remove_all(system.file("sys/class/infiniband"));
  std::filesystem::remove_all(system.file("sys/class/net"));
  TopologyMachine found = described(system.read());
  ASSERT_EQ(found.machine.links.size(), 1u);
  EXPECT_EQ(found.machine.links[0].name, "nvlink");
  expectNote(found, "network: none whose speed is known");
  fakeNvml().gpus.resize(1);
  fakeNvml().gpus[0].links.clear();
  EXPECT_EQ(described(system.read()).machine.links[0].name, "pcie");
  fakeNvml().gpus[0].maxGeneration = 0;
  EXPECT_NE(errorOf(system.read()).find("generation and width of each GPU's"),
            std::string::npos);
}

/// Slower adapters beside those of the GPUs, and one that is down.
TEST(TopologyMachine, TheFastestAdapters) {
  FakeSystem system;
  makeServer(system);
  system.rdmaPort("mlx5_8", "100 Gb/sec", true, "Ethernet", 0);
  system.rdmaPort("mlx5_7", "400 Gb/sec", false, "InfiniBand", 0);
  TopologyMachine found = described(system.read());
  expectNote(found, "7 x 400 Gbit/s by ports for RDMA");
  expectClose(bestRing(found.machine.links.back()), 46e3 * 7 / 8);
}

TEST(TopologyMachine, GpusThatCannotBeDescribed) {
  FakeSystem system;
  makeServer(system);
  fakeNvml().gpus[3].name = "NVIDIA L4";
  EXPECT_NE(errorOf(system.read())
                .find("expected GPUs of one kind, found "
                      "NVIDIA H100 80GB HBM3 and NVIDIA L4"),
            std::string::npos);
  fakeNvml().gpus.resize(1);
  fakeNvml().gpus[0].major = 7;
  EXPECT_NE(errorOf(system.read()).find("compute capability 8.0 or newer"),
            std::string::npos);
}

TEST(TopologyMachine, CpuWithoutGpus) {
  FakeSystem system;
  makeContainer(system);
  const Machine &builtIn = *findMachine("cpu");
  TopologyMachine server = described(system.read());
  EXPECT_EQ(server.machine.name, "cpu, 4 cores, not measured");
  EXPECT_TRUE(server.machine.sharedByDevices);
  expectClose(server.machine.flops16, 2 * builtIn.flops16);
  expectClose(server.machine.flopsF32, 2 * builtIn.flopsF32);
  expectNote(server, "tpc-run --calibrate measures them");
  makeLaptop(system);
  std::filesystem::remove(system.file("proc/self/cgroup"));
  TopologyMachine laptop = described(system.read());
  EXPECT_EQ(laptop.machine.name, "cpu, 4 cores, not measured");
  expectClose(laptop.machine.flopsF32, builtIn.flopsF32);
  expectClose(laptop.machine.flops16, builtIn.flopsF32);
}

} // namespace
