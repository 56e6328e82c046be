// Checks of the CPU, of limits, and of the network.
#include "topology/Checks.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <map>

using namespace tpcrt;

void tpcrt::checkInstructions(const Topology &topology, Findings &findings) {
  if (topology.cpu.avx2)
    return;
  findings.push_back({Finding::Error, "instructions of the CPU",
                      "AVX2, FMA and F16C",
                      "a CPU without some of them (" + topology.cpu.model + ")",
                      "run on a newer x86-64 CPU; in a virtual machine, let it "
                      "have the host's CPU model"});
}

void tpcrt::checkQuota(const Topology &topology, Findings &findings) {
  const CpuTopology &cpu = topology.cpu;
  if (!cpu.quota || *cpu.quota >= cpu.allowedThreads)
    return;
  findings.push_back(
      {Finding::Warning, "CPU time of the control group",
       fmt::format("time for the {} threads that run by default",
                   cpu.allowedThreads),
       fmt::format("time of {:.2f} CPUs", *cpu.quota),
       fmt::format("pass --max-threads {:.0f}, or raise the limit (cpu.max; "
                   "docker run --cpus): threads that wait for their share "
                   "hold up the others",
                   std::max(1.0, std::floor(*cpu.quota)))});
}

void tpcrt::checkAffinity(const Topology &topology, Findings &findings) {
  const CpuTopology &cpu = topology.cpu;
  if (cpu.allowedThreads >= cpu.groupThreads)
    return;
  findings.push_back(
      {Finding::Warning, "affinity of this process",
       fmt::format("all {} threads of the CPU", cpu.groupThreads),
       fmt::format("{} of them", cpu.allowedThreads),
       "start it without taskset, numactl or a launcher's binding, and without "
       "OMP_PROC_BIND, OMP_PLACES and GOMP_CPU_AFFINITY; as it should be if "
       "several processes share the CPU"});
}

void tpcrt::checkOpenMp(const Topology &topology, Findings &findings) {
  std::optional<uint64_t> limit = topology.limits.openMpThreads;
  auto usable = static_cast<uint64_t>(std::ceil(topology.cpu.usable()));
  if (!limit || *limit >= usable)
    return;
  findings.push_back({Finding::Warning, "OMP_THREAD_LIMIT",
                      fmt::format("not set, or {} at least", usable),
                      fmt::format("{}", *limit),
                      "unset it: products run on no more threads than that"});
}

void tpcrt::checkHugePages(const Topology &topology, Findings &findings) {
  if (topology.memory.transparentHugePages != "never")
    return;
  findings.push_back({Finding::Warning, "transparent huge pages",
                      "madvise or always", "never",
                      "echo madvise > "
                      "/sys/kernel/mm/transparent_hugepage/enabled, as root on "
                      "the host"});
}

/// NCCL puts buffers between processes there; containers have 64 MiB.
void tpcrt::checkSharedMemory(const Topology &topology, Findings &findings) {
  constexpr uint64_t expected = uint64_t(1) << 30;
  std::optional<uint64_t> size = topology.memory.sharedBytes;
  if (topology.gpu.gpus.size() < 2 || !size || *size >= expected)
    return;
  findings.push_back(
      {Finding::Warning, "size of /dev/shm",
       "1 GiB for NCCL between processes of this host",
       fmt::format("{} MiB", *size >> 20),
       "docker run --shm-size=1g, or mount -o remount,size=1g /dev/shm"});
}

/// Adapters read and write memory that is locked for them.
void tpcrt::checkLockedMemory(const Topology &topology, Findings &findings) {
  std::optional<uint64_t> limit = topology.limits.lockedBytes;
  if (topology.ports.empty() || !limit || *limit == ProcessLimits::unlimited)
    return;
  findings.push_back({Finding::Warning, "locked memory (ulimit -l)",
                      "unlimited, for adapters of InfiniBand and RoCE",
                      fmt::format("{} KiB", *limit >> 10),
                      "docker run --ulimit memlock=-1, or memlock unlimited in "
                      "/etc/security/limits.conf"});
}

void tpcrt::checkOpenFiles(const Topology &topology, Findings &findings) {
  constexpr uint64_t expected = 1024;
  std::optional<uint64_t> limit = topology.limits.openFiles;
  if (!limit || *limit >= expected)
    return;
  findings.push_back({Finding::Warning, "open files (ulimit -n)",
                      fmt::format("{} at least: processes keep sockets to each "
                                  "other",
                                  expected),
                      fmt::format("{}", *limit), "ulimit -n 65536"});
}

namespace {

/// What an interface or a port is to those of its kind.
struct Peer {
  std::string name, group;
  bool isUp;
  std::optional<double> gbits;
};

/// Where one of a kind is up, those that are down or slower than the fastest.
void comparePeers(const std::vector<Peer> &peers, const char *noun,
                  const char *todo, Findings &findings) {
  std::map<std::string, double> fastest;
  for (const Peer &peer : peers)
    if (peer.isUp)
      fastest[peer.group] =
          std::max(fastest[peer.group], peer.gbits.value_or(0));
  for (const Peer &peer : peers) {
    auto best = fastest.find(peer.group);
    if (best == fastest.end())
      continue;
    std::string what = fmt::format("{} {}", noun, peer.name);
    if (!peer.isUp)
      findings.push_back({Finding::Warning, what,
                          "up, as others of its kind are", "down", todo});
    else if (peer.gbits && *peer.gbits < best->second)
      findings.push_back(
          {Finding::Warning, what,
           fmt::format("{:g} Gbit/s, as others of its kind", best->second),
           fmt::format("{:g} Gbit/s", *peer.gbits), todo});
  }
}

} // namespace

void tpcrt::checkInterfaces(const Topology &topology, Findings &findings) {
  std::vector<Peer> peers;
  for (const NetworkInterface &interface : topology.interfaces)
    if (!interface.kind.empty())
      peers.push_back(
          {interface.name, interface.kind, interface.isUp, interface.gbits});
  comparePeers(peers, "interface",
               "look at cable and switch (ethtool); as it should be if it is "
               "not in use",
               findings);
}

void tpcrt::checkRdmaPorts(const Topology &topology, Findings &findings) {
  std::vector<Peer> peers;
  for (const RdmaPort &port : topology.ports)
    peers.push_back(
        {port.name, port.kind + port.layer, port.isActive, port.gbits});
  comparePeers(peers, "adapter",
               "look at cable, switch and subnet manager (ibstat); as it "
               "should be if it is not in use",
               findings);
}
