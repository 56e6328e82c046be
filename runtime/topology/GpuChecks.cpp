// Checks of GPUs, their links, their driver, and libraries for them.
#include "topology/Checks.h"

#include <algorithm>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <map>

using namespace tpcrt;

/// "GPU 3 (NVIDIA H200)"
static std::string nameOf(const Topology &topology, size_t number) {
  return fmt::format("GPU {} ({})", number, topology.gpu.gpus[number].name);
}

/// "12.4" of 12040
static std::string cudaVersion(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

void tpcrt::checkDriver(const Topology &topology, Findings &findings) {
  const GpuTopology &gpu = topology.gpu;
  if (gpu.problem.empty() && gpu.gpus.size() >= gpu.onBus)
    return;
  if (gpu.onBus == 0 && gpu.driver.empty())
    return; // neither hardware nor driver
  // Without a driver, as in a container that was started without GPUs, the CPU
  // is what is to be used; one that fails is broken.
  bool isBroken = gpu.hasNvml && gpu.gpus.empty();
  size_t count = std::max<size_t>(gpu.onBus, gpu.gpus.size());
  findings.push_back(
      {isBroken ? Finding::Error : Finding::Warning, "NVIDIA driver",
       fmt::format("a driver that serves {} GPU{}", count,
                   count == 1 ? "" : "s"),
       gpu.problem.empty() ? fmt::format("{} on the PCI bus, {} served",
                                         gpu.onBus, gpu.gpus.size())
                           : gpu.problem,
       "install the driver, or load it again (nvidia-smi); in a container, "
       "start it with all GPUs (docker run --gpus all); as it should be if "
       "they are not to be used"});
}

void tpcrt::checkDriverAge(const Topology &topology, Findings &findings) {
  if (topology.gpu.gpus.empty())
    return;
  // 12 is the oldest that is supported; a newer cuBLASLt needs its own.
  unsigned major = 12;
  std::string who = "tpc";
  for (const GpuLibrary &library : topology.libraries)
    if (library.name == "cuBLASLt" && library.version &&
        *library.version / 10000 > major) {
      major = *library.version / 10000;
      who = "the cuBLASLt that is installed";
    }
  if (topology.gpu.cuda >= static_cast<int>(major) * 1000)
    return;
  findings.push_back(
      {Finding::Error, "age of the driver",
       fmt::format("CUDA {}.0 or newer, for {}", major, who),
       fmt::format("driver {}, CUDA {}", topology.gpu.driver,
                   cudaVersion(topology.gpu.cuda)),
       "install a newer driver" +
           std::string(major > 12 ? ", or libcublasLt.so.12 instead" : "")});
}

void tpcrt::checkLibraries(const Topology &topology, Findings &findings) {
  struct Use {
    const char *name, *purpose;
    size_t gpus; ///< from how many on
    Finding::Severity severity;
  };
  static constexpr Use uses[] = {
      {"cuBLASLt", "products", 1, Finding::Error},
      {"NCCL", "collectives between GPUs", 2, Finding::Warning},
      {"cuDNN", "fast attention", 1, Finding::Warning}};
  for (const GpuLibrary &library : topology.libraries)
    for (const Use &use : uses)
      if (library.name == use.name && !library.version &&
          topology.gpu.gpus.size() >= use.gpus)
        findings.push_back({use.severity, library.name,
                            fmt::format("it, for {}", use.purpose),
                            library.problem,
                            "install it where the system looks for libraries, "
                            "or add its folder to LD_LIBRARY_PATH"});
}

void tpcrt::checkCapability(const Topology &topology, Findings &findings) {
  const auto &gpus = topology.gpu.gpus;
  bool none = std::none_of(gpus.begin(), gpus.end(), [](const GpuInfo &gpu) {
    return gpu.capability >= 80;
  });
  for (size_t i = 0; i < gpus.size(); ++i)
    if (gpus[i].capability < 80)
      findings.push_back({none ? Finding::Error : Finding::Warning,
                          nameOf(topology, i),
                          "compute capability 8.0 or newer",
                          fmt::format("{}.{}", gpus[i].capability / 10,
                                      gpus[i].capability % 10),
                          "leave it out with CUDA_VISIBLE_DEVICES, or run with "
                          "--device cpu"});
}

void tpcrt::checkMig(const Topology &topology, Findings &findings) {
  for (size_t i = 0; i < topology.gpu.gpus.size(); ++i)
    if (topology.gpu.gpus[i].mig.value_or(false))
      findings.push_back({Finding::Warning, nameOf(topology, i),
                          "MIG off: its parts have no access to each other",
                          "MIG on",
                          fmt::format("nvidia-smi -i {} -mig 0, as root", i)});
}

/// An idle GPU lowers the generation of its link to save power, never the
/// width.
void tpcrt::checkPcieLinks(const Topology &topology, Findings &findings) {
  for (size_t i = 0; i < topology.gpu.gpus.size(); ++i) {
    const GpuInfo &gpu = topology.gpu.gpus[i];
    const PcieLink &link = gpu.pcie;
    bool isSlow = gpu.performanceState.value_or(1) == 0 &&
                  link.generation < link.maxGeneration;
    if (link.width < link.maxWidth || isSlow)
      findings.push_back(
          {Finding::Warning, nameOf(topology, i),
           fmt::format("PCIe {} x{}", link.maxGeneration, link.maxWidth),
           fmt::format("PCIe {} x{}", link.generation, link.width),
           "seat the card or riser again, look into the slot's settings in the "
           "BIOS, and into the kernel's log for PCIe errors"});
  }
}

void tpcrt::checkNvLinks(const Topology &topology, Findings &findings) {
  std::map<std::string, unsigned> most;
  for (const GpuInfo &gpu : topology.gpu.gpus)
    most[gpu.name] = std::max(most[gpu.name], gpu.nvlinks.active);
  for (size_t i = 0; i < topology.gpu.gpus.size(); ++i) {
    const GpuInfo &gpu = topology.gpu.gpus[i];
    if (gpu.nvlinks.active < most[gpu.name])
      findings.push_back(
          {Finding::Warning, nameOf(topology, i),
           fmt::format("{} NVLinks, as others of its kind", most[gpu.name]),
           fmt::format("{}", gpu.nvlinks.active),
           "nvidia-smi nvlink -s; look at the bridge, or restart the fabric "
           "manager"});
  }
}

void tpcrt::checkPeerAccess(const Topology &topology, Findings &findings) {
  for (const GpuPair &pair : topology.gpu.pairs) {
    if (pair.peerAccess.value_or(true) ||
        (pair.nvlinks == 0 && !pair.sharesPcieSwitch))
      continue;
    findings.push_back(
        {Finding::Warning,
         fmt::format("GPUs {} and {}", pair.first, pair.second),
         fmt::format("access to each other's memory, over {}",
                     pair.nvlinks ? "NVLink" : "the PCIe switch they share"),
         "none",
         pair.nvlinks ? "start the fabric manager where there are NVSwitches; "
                        "nvidia-smi topo -p2p r says why"
                      : "switch ACS off on the PCIe bridges between them, and "
                        "the IOMMU to passthrough; nvidia-smi topo -p2p r says "
                        "why"});
  }
}

/// Over PCIe only: NVLink does not pass the IOMMU.
void tpcrt::checkTranslation(const Topology &topology, Findings &findings) {
  bool usesPcie = !topology.ports.empty();
  for (const GpuPair &pair : topology.gpu.pairs)
    usesPcie |= pair.nvlinks == 0;
  std::vector<size_t> translated;
  for (size_t i = 0; i < topology.gpu.gpus.size(); ++i)
    if (topology.gpu.gpus[i].isTranslated)
      translated.push_back(i);
  if (!usesPcie || translated.empty())
    return;
  findings.push_back(
      {Finding::Warning, "IOMMU",
       "addresses of GPUs passed through, for transfers between devices",
       fmt::format("translated for GPUs {}", fmt::join(translated, ", ")),
       "boot the host with iommu=pt, or switch the IOMMU off in the BIOS"});
}

void tpcrt::checkSlowdowns(const Topology &topology, Findings &findings) {
  for (size_t i = 0; i < topology.gpu.gpus.size(); ++i)
    if (const auto &reasons = topology.gpu.gpus[i].slowdowns; !reasons.empty())
      findings.push_back(
          {Finding::Warning, nameOf(topology, i), "full clocks",
           fmt::format("lowered now: {}", fmt::join(reasons, ", ")),
           "look at cooling, power supply and power limit; a power "
           "cap is usual under full load (nvidia-smi -q -d "
           "PERFORMANCE,POWER)"});
}

/// Without, the driver goes to sleep with the last process and takes seconds
/// to wake.
void tpcrt::checkPersistence(const Topology &topology, Findings &findings) {
  std::vector<size_t> off;
  for (size_t i = 0; i < topology.gpu.gpus.size(); ++i)
    if (!topology.gpu.gpus[i].persistence.value_or(true))
      off.push_back(i);
  if (!off.empty())
    findings.push_back({Finding::Warning, "persistence mode", "on",
                        fmt::format("off for GPUs {}", fmt::join(off, ", ")),
                        "start nvidia-persistenced: programs wait seconds for "
                        "a driver that sleeps"});
}
