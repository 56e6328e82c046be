// Every check of a host finds what it is for, and is silent otherwise.
#include "ChecksSupport.h"

using namespace tpcrt;
using namespace tpcrt::test;

namespace {

TEST(HostChecks, NothingToFind) {
  EXPECT_EQ(toText(examine(goodServer())), "Nothing is misconfigured.\n");
  FakeSystem system;
  makeLaptop(system);
  EXPECT_EQ(toText(examine(system.read())), "Nothing is misconfigured.\n");
}

/// What no file tells is not found wrong, but for the instructions.
TEST(HostChecks, NothingIsKnown) {
  Topology topology;
  topology.cpu.avx2 = true;
  EXPECT_EQ(toText(examine(topology)), "Nothing is misconfigured.\n");
}

TEST(HostChecks, ErrorsComeFirst) {
  Topology topology = goodServer();
  topology.memory.transparentHugePages = "never";
  topology.gpu.cuda = 11080;
  std::vector<Finding> found = examine(topology);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].severity, Finding::Error);
  std::string text = toText(found);
  EXPECT_EQ(text.rfind("error: age of the driver: expected CUDA 12.0", 0), 0u)
      << text;
  EXPECT_NE(text.find("\nwarning: transparent huge pages: expected madvise or "
                      "always; found never\n  echo madvise"),
            text.npos)
      << text;
}

TEST(HostChecks, Instructions) {
  Topology topology = goodServer();
  EXPECT_EQ(saidBy(checkInstructions, topology), "");
  FakeSystem system;
  makeLaptop(system);
  system.cpu("Old", 1, 2, "fpu avx avx2 f16c");
  EXPECT_EQ(saidBy(checkInstructions, system.read()),
            "error: instructions of the CPU: AVX2, FMA and F16C; a CPU without "
            "some of them (Old)\n");
}

TEST(HostChecks, Quota) {
  Topology topology = goodServer();
  topology.cpu.quota = 224;
  EXPECT_EQ(saidBy(checkQuota, topology), "");
  topology.cpu.quota = 3.5;
  EXPECT_EQ(saidBy(checkQuota, topology),
            "warning: CPU time of the control group: time for the 224 threads "
            "that run by default; time of 3.50 CPUs\n");
  EXPECT_NE(examine(topology)[0].todo.find("--max-threads 3,"),
            std::string::npos);
}

TEST(HostChecks, Affinity) {
  Topology topology = goodServer();
  EXPECT_EQ(saidBy(checkAffinity, topology), "");
  // A control group with fewer cores is the normal case.
  topology.cpu.groupThreads = topology.cpu.allowedThreads = 16;
  EXPECT_EQ(saidBy(checkAffinity, topology), "");
  topology.cpu.allowedThreads = 1;
  EXPECT_EQ(saidBy(checkAffinity, topology),
            "warning: affinity of this process: all 16 threads of the CPU; 1 "
            "of them\n");
}

TEST(HostChecks, OpenMp) {
  FakeSystem system;
  makeContainer(system);
  EXPECT_EQ(saidBy(checkOpenMp, system.read()), "");
  // Four CPUs are usable there.
  system.write("proc/self/environ",
               std::string("A=1\0OMP_THREAD_LIMIT=4\0B=2\0", 26));
  EXPECT_EQ(saidBy(checkOpenMp, system.read()), "");
  system.write("proc/self/environ", std::string("OMP_THREAD_LIMIT=3\0", 19));
  EXPECT_EQ(saidBy(checkOpenMp, system.read()),
            "warning: OMP_THREAD_LIMIT: not set, or 4 at least; 3\n");
}

TEST(HostChecks, HugePages) {
  Topology topology = goodServer();
  EXPECT_EQ(saidBy(checkHugePages, topology), "");
  topology.memory.transparentHugePages = "never";
  EXPECT_EQ(saidBy(checkHugePages, topology),
            "warning: transparent huge pages: madvise or always; never\n");
}

TEST(HostChecks, SharedMemory) {
  Topology topology = goodServer();
  topology.memory.sharedBytes = uint64_t(1) << 30;
  EXPECT_EQ(saidBy(checkSharedMemory, topology), "");
  topology.memory.sharedBytes = uint64_t(64) << 20;
  EXPECT_EQ(saidBy(checkSharedMemory, topology),
            "warning: size of /dev/shm: 1 GiB for NCCL between processes of "
            "this host; 64 MiB\n");
  topology.gpu.gpus.resize(1); // no NCCL
  EXPECT_EQ(saidBy(checkSharedMemory, topology), "");
}

TEST(HostChecks, LockedMemory) {
  Topology topology = goodServer();
  EXPECT_EQ(saidBy(checkLockedMemory, topology), "");
  topology.limits.lockedBytes = uint64_t(64) << 10;
  EXPECT_EQ(saidBy(checkLockedMemory, topology),
            "warning: locked memory (ulimit -l): unlimited, for adapters of "
            "InfiniBand and RoCE; 64 KiB\n");
  topology.ports.clear();
  EXPECT_EQ(saidBy(checkLockedMemory, topology), "");
}

TEST(HostChecks, OpenFiles) {
  Topology topology = goodServer();
  topology.limits.openFiles = 1024;
  EXPECT_EQ(saidBy(checkOpenFiles, topology), "");
  topology.limits.openFiles = 256;
  EXPECT_EQ(saidBy(checkOpenFiles, topology),
            "warning: open files (ulimit -n): 1024 at least: processes keep "
            "sockets to each other; 256\n");
}

TEST(HostChecks, Interfaces) {
  Topology topology;
  // Alone of its kind; virtual ones.
  topology.interfaces = {{"eno1", "a:1", false, {}},
                         {"enp1", "a:2", true, 25.},
                         {"docker0", "", false, {}},
                         {"veth1", "", true, 10.}};
  EXPECT_EQ(saidBy(checkInterfaces, topology), "");
  topology.interfaces.push_back({"enp2", "a:2", false, {}});
  topology.interfaces.push_back({"enp3", "a:2", true, 10.});
  topology.interfaces.push_back({"enp4", "a:2", true, {}});
  EXPECT_EQ(saidBy(checkInterfaces, topology),
            "warning: interface enp2: up, as others of its kind are; down\n"
            "warning: interface enp3: 25 Gbit/s, as others of its kind; 10 "
            "Gbit/s\n");
}

TEST(HostChecks, RdmaPorts) {
  Topology topology = goodServer();
  EXPECT_EQ(saidBy(checkRdmaPorts, topology), "");
  // An adapter for storage, of another kind.
  topology.ports.push_back(
      {"mlx5_8 port 1", "MT4125", "Ethernet", true, 100, {}});
  EXPECT_EQ(saidBy(checkRdmaPorts, topology), "");
  topology.ports[2].isActive = false;
  topology.ports[3].gbits = 200;
  EXPECT_EQ(saidBy(checkRdmaPorts, topology),
            "warning: adapter mlx5_2 port 1: up, as others of its kind are; "
            "down\n"
            "warning: adapter mlx5_3 port 1: 400 Gbit/s, as others of its "
            "kind; 200 Gbit/s\n");
}

} // namespace
