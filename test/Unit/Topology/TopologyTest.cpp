// What is read of made-up machines, and how it is shown.
#include "FakeSystem.h"
#include "topology/Readers.h"

#include <filesystem>
#include <gtest/gtest.h>

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

constexpr uint64_t KiB = 1024;

TEST(Topology, ServerHost) {
  FakeSystem system;
  makeServer(system);
  Topology found = system.read();
  EXPECT_EQ(found.cpu.model, "Intel(R) Xeon(R) Platinum 8480C");
  EXPECT_EQ(found.cpu.sockets, 2u);
  EXPECT_EQ(found.cpu.cores, 112u);
  EXPECT_EQ(found.cpu.threads, 224u);
  EXPECT_EQ(found.cpu.usable(), 224);
  EXPECT_TRUE(found.cpu.avx2 && found.cpu.avx512 && found.cpu.avx512Bf16 &&
              found.cpu.amxBf16);
  EXPECT_EQ(found.memory.totalBytes, 2113000000 * KiB);
  EXPECT_EQ(found.memory.availableBytes, 2000000000 * KiB);
  EXPECT_EQ(found.memory.groupLimitBytes, std::nullopt);
  EXPECT_EQ(found.memory.transparentHugePages, "madvise");
  EXPECT_EQ(found.memory.reservedHugePages, 16u);
  EXPECT_EQ(found.memory.hugePageBytes, 2048 * KiB);
  EXPECT_EQ(found.memory.sharedBytes, std::nullopt) << "there is no /dev/shm";
  ASSERT_EQ(found.memory.nodes.size(), 2u);
  EXPECT_EQ(found.memory.nodes[1].cpus, "56-111,168-223");
  EXPECT_EQ(found.memory.nodes[1].memoryBytes, 1056500000 * KiB);
  EXPECT_EQ(found.limits.lockedBytes, ProcessLimits::unlimited);
  EXPECT_EQ(found.limits.openFiles, 1048576u);
  ASSERT_EQ(found.interfaces.size(), 2u) << "without the loopback";
  EXPECT_EQ(found.interfaces[0].name, "eno1");
  EXPECT_EQ(found.interfaces[0].kind, "0x8086:0x1593");
  EXPECT_EQ(found.interfaces[0].gbits, 25);
  EXPECT_EQ(found.interfaces[1].kind, "");
  EXPECT_EQ(found.interfaces[1].gbits, std::nullopt);
  ASSERT_EQ(found.ports.size(), 8u);
  EXPECT_EQ(found.ports[7].name, "mlx5_7 port 1");
  EXPECT_EQ(found.ports[7].gbits, 400);
  EXPECT_EQ(found.ports[7].numaNode, 1u);
  EXPECT_TRUE(found.ports[7].isActive);
}

TEST(Topology, PortsThatAreDown) {
  FakeSystem system;
  system.rdmaPort("mlx5_10", "100 Gb/sec (4X EDR)", true, "Ethernet", -1);
  system.rdmaPort("mlx5_9", "2.5 Gb/sec (1X SDR)", false, "InfiniBand", 0);
  std::vector<RdmaPort> found = readRdmaPorts(system.path);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "mlx5_9 port 1");
  EXPECT_FALSE(found[0].isActive);
  EXPECT_EQ(found[0].gbits, 2.5);
  EXPECT_EQ(found[1].layer, "Ethernet");
  EXPECT_EQ(found[1].numaNode, std::nullopt);
}

TEST(Topology, ServerGpus) {
  FakeSystem system;
  makeServer(system);
  GpuTopology found = system.read().gpu;
  EXPECT_EQ(fakeNvml().open, 0) << "the library is closed again";
  EXPECT_EQ(found.problem, "");
  EXPECT_EQ(found.onBus, 8u);
  EXPECT_TRUE(found.hasNvml);
  EXPECT_EQ(found.driver, "550.54.15");
  EXPECT_EQ(found.cuda, 12040);
  ASSERT_EQ(found.gpus.size(), 8u);
  const GpuInfo &gpu = found.gpus[5];
  EXPECT_EQ(gpu.name, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(gpu.busId, "0000:68:00.0");
  EXPECT_EQ(gpu.memoryBytes, uint64_t(81559) << 20);
  EXPECT_EQ(gpu.capability, 90u);
  EXPECT_EQ(gpu.clockMhz, 1980u);
  EXPECT_EQ(gpu.memoryClockMhz, 2619u);
  EXPECT_EQ(gpu.pcie.generation, 5u);
  EXPECT_EQ(gpu.pcie.maxWidth, 16u);
  EXPECT_EQ(gpu.nvlinks.active, 18u);
  EXPECT_EQ(gpu.nvlinks.toSwitch, 18u);
  EXPECT_EQ(gpu.numaNode, 1u);
  EXPECT_EQ(gpu.mig, false);
  EXPECT_EQ(gpu.ecc, true);
  EXPECT_FALSE(gpu.isTranslated);
  ASSERT_EQ(found.pairs.size(), 28u);
  for (const GpuPair &pair : found.pairs) {
    EXPECT_EQ(pair.nvlinks, 18u);
    EXPECT_EQ(pair.peerAccess, true);
    EXPECT_FALSE(pair.sharesPcieSwitch);
  }
}

/// Two bridges join four cards in pairs; a link of the last is down, and it
/// does not tell its modes.
TEST(Topology, BridgedCards) {
  FakeSystem system;
  makeLaptop(system);
  for (unsigned i = 0; i < 4; ++i) {
    FakeGpu gpu;
    gpu.bus = 16 + i;
    gpu.links = {16 + (i ^ 1), 16 + (i ^ 1)};
    fakeNvml().gpus.push_back(gpu);
  }
  fakeNvml().gpus[3].links[1] = FakeGpu::down;
  fakeNvml().gpus[3].tellsModes = false;
  fakeNvml().gpus[3].slowdowns = 0x1 | 0x40 | 0x80;
  fakeNvml().onOneSwitch = {{0, 2}};
  fakeNvml().isolated = {2};
  system.write("sys/bus/pci/devices/0000:10:00.0/iommu_group/type", "DMA-FQ\n");
  GpuTopology found = system.read().gpu;
  std::vector<unsigned> links;
  for (const GpuPair &pair : found.pairs)
    links.push_back(pair.nvlinks);
  EXPECT_EQ(links, (std::vector<unsigned>{2, 0, 0, 0, 0, 2}));
  EXPECT_TRUE(found.pairs[1].sharesPcieSwitch);
  EXPECT_FALSE(found.pairs[2].sharesPcieSwitch);
  EXPECT_EQ(found.pairs[1].peerAccess, false);
  EXPECT_EQ(found.pairs[2].peerAccess, true);
  const GpuInfo &last = found.gpus[3];
  EXPECT_EQ(last.nvlinks.active, 1u);
  EXPECT_EQ(last.nvlinks.inactive, 1u);
  EXPECT_EQ(last.mig, std::nullopt);
  EXPECT_EQ(last.slowdowns, (std::vector<std::string>{"temperature (hardware)",
                                                      "power brake"}));
  EXPECT_TRUE(found.gpus[0].isTranslated);
  EXPECT_FALSE(last.isTranslated);
}

TEST(Topology, DriverThatFails) {
  FakeSystem system;
  makeServer(system);
  fakeNvml().initResult = 18;
  // A virtual function, and the sound of a card, are no GPUs.
  system.write("sys/bus/pci/devices/0000:18:00.4/vendor", "0x10de\n");
  system.write("sys/bus/pci/devices/0000:18:00.4/class", "0x030200\n");
  system.write("sys/bus/pci/devices/0000:18:00.4/physfn", "");
  system.write("sys/bus/pci/devices/0000:18:00.1/vendor", "0x10de\n");
  system.write("sys/bus/pci/devices/0000:18:00.1/class", "0x040300\n");
  Topology found = system.read();
  EXPECT_EQ(found.gpu.problem, "nvmlInit: Driver/library version mismatch");
  EXPECT_EQ(found.gpu.onBus, 8u);
  EXPECT_TRUE(found.gpu.gpus.empty());
  EXPECT_TRUE(found.libraries.empty());
}

TEST(Topology, Laptop) {
  FakeSystem system;
  makeLaptop(system);
  std::filesystem::create_directories(system.file("dev/shm"));
  Topology found = system.read();
  EXPECT_EQ(found.cpu.cores, 4u);
  EXPECT_EQ(found.cpu.threads, 8u);
  EXPECT_TRUE(found.cpu.avx2);
  EXPECT_FALSE(found.cpu.avx512 || found.cpu.avx512Bf16 || found.cpu.amxBf16);
  EXPECT_EQ(found.limits.lockedBytes, 8388608u);
  EXPECT_EQ(found.gpu.onBus, 0u);
  EXPECT_FALSE(found.gpu.hasNvml);
  EXPECT_NE(found.gpu.problem, "");
  EXPECT_TRUE(found.memory.sharedBytes);
  EXPECT_TRUE(found.ports.empty());
}

TEST(Topology, ContainerHasTheSmallerOnes) {
  FakeSystem system;
  makeContainer(system);
  Topology found = system.read();
  EXPECT_EQ(found.cpu.threads, 224u);
  EXPECT_EQ(found.cpu.groupThreads, 16u);
  EXPECT_EQ(found.cpu.quota, 4);
  EXPECT_EQ(found.cpu.usable(), 4);
  EXPECT_EQ(found.memory.groupLimitBytes, uint64_t(32) << 30);
  EXPECT_EQ(found.memory.availableBytes, uint64_t(31) << 30);
  system.write("sys/fs/cgroup/cpu.max", "max 100000\n");
  EXPECT_EQ(system.read().cpu.usable(), 16);
}

TEST(Topology, ControlGroupsOfVersionOne) {
  FakeSystem system;
  makeServer(system);
  system.write("proc/self/cgroup", "3:cpu,cpuacct:/job\n4:memory:/job\n0::/\n");
  system.write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "-1\n");
  system.write("sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n");
  system.write("sys/fs/cgroup/memory/job/memory.limit_in_bytes",
               "9223372036854771712\n");
  Topology free = system.read();
  EXPECT_EQ(free.cpu.quota, std::nullopt);
  EXPECT_EQ(free.memory.groupLimitBytes, std::nullopt);
  system.write("sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "250000\n");
  system.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "1048576\n");
  Topology limited = system.read();
  EXPECT_EQ(limited.cpu.quota, 2.5);
  EXPECT_EQ(limited.memory.groupLimitBytes, 1048576u);
}

TEST(Topology, NothingIsKnown) {
  fakeNvml() = {};
  FakeSystem system;
  Topology found = system.read();
  EXPECT_EQ(found.cpu.threads, 0u);
  EXPECT_EQ(found.memory.totalBytes, 0u);
  EXPECT_TRUE(found.interfaces.empty());
  EXPECT_NE(toText(found), "");
  for (const char *name : {"proc/cpuinfo", "proc/meminfo", "proc/self/status",
                           "proc/self/limits", "proc/self/cgroup"})
    system.write(name, ":\n: :\nMax locked memory\nnonsense");
  EXPECT_EQ(system.read().cpu.threads, 0u);
}

TEST(Topology, OfThisMachine) {
  Topology found = readTopology();
  EXPECT_GT(found.cpu.threads, 0u);
  EXPECT_GT(found.cpu.usable(), 0);
  EXPECT_LE(found.cpu.usable(), found.cpu.threads);
  EXPECT_GT(found.memory.totalBytes, uint64_t(1) << 20);
  EXPECT_TRUE(found.limits.openFiles);
}

TEST(Topology, Lists) {
  EXPECT_EQ(countOfList("0-3,8,10-11"), 7u);
  EXPECT_EQ(countOfList("5"), 1u);
  EXPECT_EQ(countOfList(""), 0u);
  EXPECT_EQ(countOfList("3-1,x,-"), 0u);
}

void expectHolds(const std::string &text, const std::string &part) {
  EXPECT_NE(text.find(part), text.npos) << part << "\nin\n" << text;
}

TEST(TopologyText, Server) {
  FakeSystem system;
  makeServer(system);
  fakeNvml().isolated = {7};
  std::string text = toText(system.read());
  expectHolds(text, "2 sockets, 112 cores, 224 threads\n");
  expectHolds(text, "instructions: AVX2, AVX-512, AVX512_BF16, AMX\n");
  expectHolds(text, "NUMA node 1: CPUs 56-111,168-223, 1007.6 GiB\n");
  expectHolds(text, "limits     locked memory unlimited, open files 1048576\n");
  expectHolds(text, "docker0: virtual, not up, speed not known\n");
  expectHolds(text, "mlx5_7 port 1: InfiniBand, up, 400 Gbit/s, NUMA node 1\n");
  expectHolds(text, "driver     550.54.15, CUDA 12.4\n");
  expectHolds(text, "NCCL 2.23.4\n");
  expectHolds(text, "GPU 5      NVIDIA H100 80GB HBM3, 79.6 GiB, sm_90, "
                    "0000:68:00.0, NUMA node 1\n");
  expectHolds(text, "PCIe 5 x16 of 5 x16, 18 NVLinks, MIG off, ECC on, "
                    "persistence on\n");
  expectHolds(text, "0     .     NV18  NV18  NV18  NV18  NV18  NV18  NV18!\n");
}

TEST(TopologyText, Laptop) {
  FakeSystem system;
  makeLaptop(system);
  std::string text = toText(system.read());
  expectHolds(text, "instructions: AVX2\n");
  expectHolds(text, "GPUs       none\n");
  makeContainer(system);
  text = toText(system.read());
  expectHolds(text, "usable here: 4 (16 by affinity, time: 4 CPUs)\n");
  expectHolds(text, "limit of the control group: 32.0 GiB\n");
}

} // namespace
