// Every check of GPUs finds what it is for, and is silent otherwise.
#include "ChecksSupport.h"

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

TEST(GpuChecks, Driver) {
  Topology topology = goodServer();
  EXPECT_EQ(saidBy(checkDriver, topology), "");
  topology.gpu.onBus = 9;
  EXPECT_EQ(saidBy(checkDriver, topology),
            "warning: NVIDIA driver: a driver that serves 9 GPUs; 9 on the PCI "
            "bus, 8 served\n");
  topology.gpu = {};
  topology.gpu.problem = "cannot open libnvidia-ml.so.1";
  EXPECT_EQ(saidBy(checkDriver, topology), "") << "neither GPU nor driver";
  topology.gpu.onBus = 1;
  EXPECT_EQ(saidBy(checkDriver, topology),
            "warning: NVIDIA driver: a driver that serves 1 GPU; cannot open "
            "libnvidia-ml.so.1\n");
  topology.gpu.hasNvml = true;
  topology.gpu.problem = "nvmlInit: Driver/library version mismatch";
  EXPECT_EQ(saidBy(checkDriver, topology),
            "error: NVIDIA driver: a driver that serves 1 GPU; nvmlInit: "
            "Driver/library version mismatch\n");
}

TEST(GpuChecks, DriverAge) {
  Topology topology = goodServer();
  topology.gpu.cuda = 12000;
  EXPECT_EQ(saidBy(checkDriverAge, topology), "");
  topology.gpu.cuda = 11080;
  EXPECT_EQ(saidBy(checkDriverAge, topology),
            "error: age of the driver: CUDA 12.0 or newer, for tpc; driver "
            "550.54.15, CUDA 11.8\n");
  topology.gpu.cuda = 12040;
  topology.libraries[0].version = 130001;
  EXPECT_EQ(saidBy(checkDriverAge, topology),
            "error: age of the driver: CUDA 13.0 or newer, for the cuBLASLt "
            "that is installed; driver 550.54.15, CUDA 12.4\n");
  topology.gpu = {};
  EXPECT_EQ(saidBy(checkDriverAge, topology), "");
}

TEST(GpuChecks, Libraries) {
  Topology topology = goodServer();
  EXPECT_EQ(saidBy(checkLibraries, topology), "");
  for (GpuLibrary &library : topology.libraries)
    library = {library.name, {}, "cannot open it"};
  EXPECT_EQ(saidBy(checkLibraries, topology),
            "error: cuBLASLt: it, for products; cannot open it\n"
            "warning: NCCL: it, for collectives between GPUs; cannot open it\n"
            "warning: cuDNN: it, for fast attention; cannot open it\n");
  topology.gpu.gpus.resize(1);
  EXPECT_EQ(saidBy(checkLibraries, topology).find("NCCL"), std::string::npos);
}

TEST(GpuChecks, Capability) {
  Topology topology = goodServer();
  topology.gpu.gpus[1].capability = 80;
  EXPECT_EQ(saidBy(checkCapability, topology), "");
  topology.gpu.gpus[2].capability = 75;
  EXPECT_EQ(saidBy(checkCapability, topology),
            "warning: GPU 2 (NVIDIA H100 80GB HBM3): compute capability 8.0 or "
            "newer; 7.5\n");
  topology.gpu.gpus = {topology.gpu.gpus[2]};
  EXPECT_EQ(saidBy(checkCapability, topology).rfind("error: GPU 0", 0), 0u);
}

TEST(GpuChecks, Mig) {
  Topology topology = goodServer();
  topology.gpu.gpus[1].mig = std::nullopt;
  EXPECT_EQ(saidBy(checkMig, topology), "");
  topology.gpu.gpus[4].mig = true;
  EXPECT_EQ(saidBy(checkMig, topology),
            "warning: GPU 4 (NVIDIA H100 80GB HBM3): MIG off: its parts have "
            "no access to each other; MIG on\n");
}

TEST(GpuChecks, PcieLinks) {
  Topology topology = goodServer();
  EXPECT_EQ(saidBy(checkPcieLinks, topology), "");
  // An idle GPU saves power.
  topology.gpu.gpus[0].pcie.generation = 1;
  topology.gpu.gpus[0].performanceState = 8;
  topology.gpu.gpus[1].pcie.generation = 1;
  topology.gpu.gpus[1].performanceState = std::nullopt;
  EXPECT_EQ(saidBy(checkPcieLinks, topology), "");
  topology.gpu.gpus[2].pcie.generation = 3;
  topology.gpu.gpus[3].pcie.width = 8;
  EXPECT_EQ(saidBy(checkPcieLinks, topology),
            "warning: GPU 2 (NVIDIA H100 80GB HBM3): PCIe 5 x16; PCIe 3 x16\n"
            "warning: GPU 3 (NVIDIA H100 80GB HBM3): PCIe 5 x16; PCIe 5 x8\n");
}

TEST(GpuChecks, NvLinks) {
  Topology topology = goodServer();
  EXPECT_EQ(saidBy(checkNvLinks, topology), "");
  topology.gpu.gpus[6].nvlinks.active = 12;
  EXPECT_EQ(saidBy(checkNvLinks, topology),
            "warning: GPU 6 (NVIDIA H100 80GB HBM3): 18 NVLinks, as others of "
            "its kind; 12\n");
  topology.gpu.gpus[6].name = "NVIDIA L4"; // another kind
  EXPECT_EQ(saidBy(checkNvLinks, topology), "");
}

TEST(GpuChecks, PeerAccess) {
  Topology topology = goodServer();
  EXPECT_EQ(saidBy(checkPeerAccess, topology), "");
  topology.gpu.pairs[1].peerAccess = std::nullopt;
  topology.gpu.pairs[2].peerAccess = false;
  EXPECT_EQ(saidBy(checkPeerAccess, topology),
            "warning: GPUs 0 and 3: access to each other's memory, over "
            "NVLink; none\n");
  topology.gpu.pairs[2].nvlinks = 0; // far from each other
  EXPECT_EQ(saidBy(checkPeerAccess, topology), "");
  topology.gpu.pairs[2].sharesPcieSwitch = true;
  EXPECT_EQ(saidBy(checkPeerAccess, topology),
            "warning: GPUs 0 and 3: access to each other's memory, over the "
            "PCIe switch they share; none\n");
}

TEST(GpuChecks, Translation) {
  Topology topology = goodServer();
  EXPECT_EQ(saidBy(checkTranslation, topology), "");
  topology.gpu.gpus[1].isTranslated = topology.gpu.gpus[5].isTranslated = true;
  std::string said = "warning: IOMMU: addresses of GPUs passed through, for "
                     "transfers between devices; translated for GPUs 1, 5\n";
  EXPECT_EQ(saidBy(checkTranslation, topology), said);
  topology.ports.clear(); // NVLink does not pass the IOMMU
  EXPECT_EQ(saidBy(checkTranslation, topology), "");
  topology.gpu.pairs[0].nvlinks = 0;
  EXPECT_EQ(saidBy(checkTranslation, topology), said);
}

TEST(GpuChecks, Slowdowns) {
  Topology topology = goodServer();
  EXPECT_EQ(saidBy(checkSlowdowns, topology), "");
  topology.gpu.gpus[7].slowdowns = {"power cap", "power brake"};
  EXPECT_EQ(saidBy(checkSlowdowns, topology),
            "warning: GPU 7 (NVIDIA H100 80GB HBM3): full clocks; lowered now: "
            "power cap, power brake\n");
}

TEST(GpuChecks, Persistence) {
  Topology topology = goodServer();
  topology.gpu.gpus[0].persistence = std::nullopt;
  EXPECT_EQ(saidBy(checkPersistence, topology), "");
  topology.gpu.gpus[2].persistence = topology.gpu.gpus[3].persistence = false;
  EXPECT_EQ(saidBy(checkPersistence, topology),
            "warning: persistence mode: on; off for GPUs 2, 3\n");
}

} // namespace
