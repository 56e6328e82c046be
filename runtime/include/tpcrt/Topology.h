// What a machine is made of, as far as the system says it: cores, memory,
// limits, network adapters, GPUs and what joins them. `tpc-run --doctor` shows
// it (docs/doctor.md).
#ifndef TPCRT_TOPOLOGY_H
#define TPCRT_TOPOLOGY_H

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tpcrt {

struct CpuTopology {
  std::string model;
  unsigned sockets = 0, cores = 0, threads = 0; ///< of the machine
  /// Threads that the control group, and then this process's affinity leave.
  unsigned groupThreads = 0, allowedThreads = 0;
  /// CPUs' worth of time that the control group gives; nothing: no limit.
  std::optional<double> quota;
  bool avx2 = false; ///< with FMA and F16C
  bool avx512 = false;
  bool avx512Bf16 = false;
  bool amxBf16 = false;

  /// What this process has: the least of threads, affinity and quota.
  double usable() const;
};

struct NumaNode {
  unsigned number = 0;
  std::string cpus; ///< "0-27,56-83"
  uint64_t memoryBytes = 0;
};

struct MemoryTopology {
  uint64_t totalBytes = 0;
  std::optional<uint64_t> groupLimitBytes;
  std::optional<uint64_t> availableBytes;
  std::vector<NumaNode> nodes;
  std::string transparentHugePages; ///< "always", "madvise", "never", ""
  uint64_t hugePageBytes = 0, reservedHugePages = 0;
  std::optional<uint64_t> sharedBytes; ///< size of /dev/shm
};

/// Of this process. Nothing: not known; `unlimited`: none.
struct ProcessLimits {
  static constexpr uint64_t unlimited = UINT64_MAX;
  std::optional<uint64_t> lockedBytes, openFiles;
  /// OMP_THREAD_LIMIT, which OpenMP's teams do not exceed.
  std::optional<uint64_t> openMpThreads;
};

struct NetworkInterface {
  std::string name;
  /// Vendor and device of the adapter, "0x8086:0x1572"; empty: virtual.
  std::string kind;
  bool isUp = false;
  std::optional<double> gbits; ///< per second
};

/// A port of an adapter for InfiniBand, or for RoCE over Ethernet.
struct RdmaPort {
  std::string name;  ///< "mlx5_0 port 1"
  std::string kind;  ///< "MT4129"
  std::string layer; ///< "InfiniBand" or "Ethernet"
  bool isActive = false;
  double gbits = 0;
  std::optional<unsigned> numaNode;
};

struct PcieLink {
  unsigned generation = 0, maxGeneration = 0, width = 0, maxWidth = 0;
};

struct NvLinks {
  unsigned active = 0, inactive = 0;
  /// Of the active ones, those to a switch; the bus ids of GPUs at the others.
  unsigned toSwitch = 0;
  std::vector<std::string> peers;
};

struct GpuInfo {
  std::string name;
  std::string busId; ///< as in /sys/bus/pci/devices
  uint64_t memoryBytes = 0;
  unsigned capability = 0; ///< 90 for sm_90
  unsigned cores = 0;
  unsigned clockMhz = 0, memoryClockMhz = 0; ///< at most
  unsigned memoryBusBits = 0;
  PcieLink pcie;
  NvLinks nvlinks;
  std::optional<unsigned> numaNode;
  std::optional<bool> mig, ecc, persistence;
  /// 0 is the fastest; PCIe links of an idle GPU may run slower.
  std::optional<unsigned> performanceState;
  /// Why clocks are lowered: "power brake", "temperature (hardware)"
  std::vector<std::string> slowdowns;
  /// The IOMMU translates what it reads and writes in host memory.
  bool isTranslated = false;
};

/// Two GPUs, by their numbers.
struct GpuPair {
  unsigned first = 0, second = 0;
  unsigned nvlinks = 0; ///< between them, or to the switch that joins them
  bool sharesPcieSwitch = false;
  /// One reads and writes the other's memory. Nothing: not known.
  std::optional<bool> peerAccess;
};

struct GpuTopology {
  /// NVIDIA GPUs on the PCI bus, whether a driver serves them or not.
  unsigned onBus = 0;
  /// The driver's library is there; why it tells nothing, empty if it does.
  bool hasNvml = false;
  std::string problem;
  std::string driver; ///< "550.54.15"
  int cuda = 0;       ///< newest API of the driver: 12040 for 12.4
  std::vector<GpuInfo> gpus;
  std::vector<GpuPair> pairs;
};

/// A library that programs on GPUs use.
struct GpuLibrary {
  std::string name; ///< "NCCL"
  /// 22304 for 2.23.4; nothing: there is none, see `problem`.
  std::optional<unsigned> version;
  std::string problem;
};

struct Topology {
  CpuTopology cpu;
  MemoryTopology memory;
  ProcessLimits limits;
  std::vector<NetworkInterface> interfaces;
  std::vector<RdmaPort> ports;
  GpuTopology gpu;
  /// Looked for where there are GPUs.
  std::vector<GpuLibrary> libraries;
};

/// Of the machine that this process runs on. What cannot be read stays empty.
Topology readTopology();

struct Finding {
  enum Severity {
    Warning, ///< slower than it could be, or fails in some uses
    Error    ///< nothing runs on a kind of device that is there
  };
  Severity severity = Warning;
  std::string what, expected, found, todo;
};

/// What is wrong with a machine, errors first.
std::vector<Finding> examine(const Topology &topology);

/// As tables, for people.
std::string toText(const Topology &topology);
std::string toText(const std::vector<Finding> &findings);

} // namespace tpcrt

#endif // TPCRT_TOPOLOGY_H
