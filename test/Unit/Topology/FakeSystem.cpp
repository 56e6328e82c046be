#include "FakeSystem.h"

#include "topology/Readers.h"

#include <filesystem>
#include <fmt/format.h>

using namespace tpcrt;
using namespace tpcrt::test;

const char *const tpcrt::test::serverFlags =
    "fpu avx avx2 fma f16c avx512f avx512bw avx512dq avx512vl avx512_bf16 "
    "amx_tile amx_bf16";
const char *const tpcrt::test::laptopFlags = "fpu avx avx2 fma f16c";

void FakeSystem::write(const std::string &name, const std::string &text) const {
  std::filesystem::create_directories(
      std::filesystem::path(file(name)).parent_path());
  writeBytes(file(name), text);
}

/// Two threads a core.
void FakeSystem::cpu(const std::string &model, unsigned sockets,
                     unsigned coresPerSocket, const std::string &flags) const {
  std::string text;
  unsigned thread = 0;
  for (unsigned sibling = 0; sibling < 2; ++sibling)
    for (unsigned socket = 0; socket < sockets; ++socket)
      for (unsigned core = 0; core < coresPerSocket; ++core)
        text += fmt::format("processor\t: {}\nmodel name\t: {}\n"
                            "physical id\t: {}\ncore id\t\t: {}\n"
                            "flags\t\t: {}\n\n",
                            thread++, model, socket, core, flags);
  write("proc/cpuinfo", text);
}

void FakeSystem::interface(const std::string &name, const std::string &state,
                           const std::string &speed,
                           const std::string &device) const {
  std::string folder = "sys/class/net/" + name;
  write(folder + "/operstate", state + "\n");
  write(folder + "/speed", speed + "\n");
  if (!device.empty()) {
    write(folder + "/device/vendor", "0x8086\n");
    write(folder + "/device/device", device + "\n");
  }
}

void FakeSystem::rdmaPort(const std::string &adapter, const std::string &rate,
                          bool isActive, const std::string &layer,
                          int node) const {
  std::string folder = "sys/class/infiniband/" + adapter;
  write(folder + "/hca_type", "MT4129\n");
  write(folder + "/device/numa_node", fmt::format("{}\n", node));
  write(folder + "/ports/1/link_layer", layer + "\n");
  write(folder + "/ports/1/rate", rate + "\n");
  write(folder + "/ports/1/state", isActive ? "4: ACTIVE\n" : "1: DOWN\n");
}

static std::vector<GpuLibrary> fakeLibraries() {
  return {{"cuBLASLt", 120403, ""}, {"NCCL", 22304, ""}, {"cuDNN", 90100, ""}};
}

Topology FakeSystem::read() const {
  if (fakeNvml().gpus.empty() && fakeNvml().initResult == 0)
    return readTopology(path, fail("cannot open libnvidia-ml.so.1"),
                        fakeLibraries);
  return readTopology(path, fakeNvmlTable(), fakeLibraries);
}

static const char *const limitsText =
    "Limit                     Soft Limit           Hard Limit           "
    "Units\n"
    "Max open files            1048576              1048576              "
    "files\n"
    "Max locked memory         {}            unlimited            bytes\n";

void tpcrt::test::makeServer(const FakeSystem &system) {
  system.cpu("Intel(R) Xeon(R) Platinum 8480C", 2, 56, serverFlags);
  system.write("proc/meminfo",
               "MemTotal: 2113000000 kB\nMemAvailable: 2000000000 kB\n"
               "HugePages_Total: 16\nHugepagesize: 2048 kB\n");
  system.write("proc/self/status", "Cpus_allowed_list:\t0-223\n");
  system.write("proc/self/limits",
               fmt::format(fmt::runtime(limitsText), "unlimited"));
  system.write("sys/kernel/mm/transparent_hugepage/enabled",
               "always [madvise] never\n");
  for (unsigned node = 0; node < 2; ++node) {
    std::string folder = fmt::format("sys/devices/system/node/node{}", node);
    system.write(folder + "/cpulist",
                 node ? "56-111,168-223\n" : "0-55,112-167\n");
    system.write(folder + "/meminfo",
                 fmt::format("Node {} MemTotal:       1056500000 kB\n", node));
  }
  system.write("sys/class/net/lo/operstate", "unknown\n");
  system.interface("eno1", "up", "25000", "0x1593");
  system.interface("docker0", "down", "-1", "");
  fakeNvml() = {};
  for (unsigned i = 0; i < 8; ++i) {
    FakeGpu gpu;
    gpu.bus = 0x18 + 0x10 * i;
    gpu.links.assign(18, FakeGpu::toSwitch);
    fakeNvml().gpus.push_back(gpu);
    std::string folder =
        fmt::format("sys/bus/pci/devices/0000:{:02x}:00.0", gpu.bus);
    system.write(folder + "/vendor", "0x10de\n");
    system.write(folder + "/class", "0x030200\n");
    system.write(folder + "/numa_node", fmt::format("{}\n", i / 4));
    system.write(folder + "/iommu_group/type", "identity\n");
    system.rdmaPort(fmt::format("mlx5_{}", i), "400 Gb/sec (4X NDR)", true,
                    "InfiniBand", i / 4);
  }
}

void tpcrt::test::makeLaptop(const FakeSystem &system) {
  fakeNvml() = {};
  system.cpu("AMD Ryzen 5 3500U", 1, 4, laptopFlags);
  system.write("proc/meminfo", "MemTotal: 16000000 kB\n"
                               "MemAvailable: 9000000 kB\n"
                               "Hugepagesize: 2048 kB\n");
  system.write("proc/self/status", "Cpus_allowed_list:\t0-7\n");
  system.write("proc/self/limits",
               fmt::format(fmt::runtime(limitsText), "8388608"));
  system.write("sys/kernel/mm/transparent_hugepage/enabled",
               "[always] madvise never\n");
  system.interface("wlp1s0", "up", "-1", "0x24fd");
}

void tpcrt::test::makeContainer(const FakeSystem &system) {
  makeServer(system);
  fakeNvml() = {};
  std::filesystem::remove_all(system.file("sys/bus"));
  std::filesystem::remove_all(system.file("sys/class/infiniband"));
  system.write("proc/self/cgroup", "0::/\n");
  system.write("sys/fs/cgroup/cpu.max", "400000 100000\n");
  system.write("sys/fs/cgroup/cpuset.cpus.effective", "0-15\n");
  system.write("sys/fs/cgroup/memory.max", "34359738368\n");
  system.write("sys/fs/cgroup/memory.current", "1073741824\n");
  system.write("proc/self/status", "Cpus_allowed_list:\t0-15\n");
}
