// A topology and findings as tables: a name on the left, what there is of it on
// the right.
#include "tpcrt/Topology.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

using namespace tpcrt;

namespace {

/// Lines "name      text"; the name only once for lines that follow each other.
class Table {
public:
  void add(const std::string &name, const std::string &line) {
    text += fmt::format("{:<10} {}\n", name == last ? "" : name, line);
    last = name;
  }
  std::string text;

private:
  std::string last;
};

std::string bytes(uint64_t value) {
  if (value >= uint64_t(1) << 30)
    return fmt::format("{:.1f} GiB", double(value) / (uint64_t(1) << 30));
  if (value >= uint64_t(1) << 20)
    return fmt::format("{:.1f} MiB", double(value) / (uint64_t(1) << 20));
  return fmt::format("{} KiB", value >> 10);
}

std::string limit(std::optional<uint64_t> value, bool isBytes) {
  if (!value)
    return "not known";
  if (*value == ProcessLimits::unlimited)
    return "unlimited";
  return isBytes ? bytes(*value) : std::to_string(*value);
}

std::string counted(unsigned count, const char *noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

/// "2.23.4" of 22304
std::string version(unsigned number) {
  return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100,
                     number % 100);
}

void addCpu(const CpuTopology &cpu, Table &table) {
  table.add("CPU", fmt::format("{}: {}, {}, {}", cpu.model,
                               counted(cpu.sockets, "socket"),
                               counted(cpu.cores, "core"),
                               counted(cpu.threads, "thread")));
  table.add("CPU", fmt::format("usable here: {:g} ({} by affinity, time: {})",
                               cpu.usable(), cpu.allowedThreads,
                               cpu.quota ? fmt::format("{:g} CPUs", *cpu.quota)
                                         : "no limit"));
  std::vector<const char *> sets;
  for (auto [has, name] : {std::pair{cpu.avx2, "AVX2"},
                           {cpu.avx512, "AVX-512"},
                           {cpu.avx512Bf16, "AVX512_BF16"},
                           {cpu.amxBf16, "AMX"}})
    if (has)
      sets.push_back(name);
  table.add("CPU",
            fmt::format("instructions: {}",
                        sets.empty() ? "no AVX2"
                                     : fmt::to_string(fmt::join(sets, ", "))));
}

void addMemory(const MemoryTopology &memory, Table &table) {
  table.add("memory",
            fmt::format("{}, {} available, limit of the control group: {}",
                        bytes(memory.totalBytes),
                        limit(memory.availableBytes, true),
                        memory.groupLimitBytes ? bytes(*memory.groupLimitBytes)
                                               : "none"));
  for (const NumaNode &node : memory.nodes)
    table.add("memory", fmt::format("NUMA node {}: CPUs {}, {}", node.number,
                                    node.cpus.empty() ? "none" : node.cpus,
                                    bytes(node.memoryBytes)));
  table.add("memory",
            fmt::format("huge pages: transparent {}, {} reserved of {}",
                        memory.transparentHugePages.empty()
                            ? "not known"
                            : memory.transparentHugePages,
                        memory.reservedHugePages, bytes(memory.hugePageBytes)));
  table.add("memory", "/dev/shm: " + limit(memory.sharedBytes, true));
}

void addNetwork(const Topology &topology, Table &table) {
  for (const NetworkInterface &interface : topology.interfaces)
    table.add("network",
              fmt::format("{}: {}{}, {}", interface.name,
                          interface.kind.empty() ? "virtual, " : "",
                          interface.isUp ? "up" : "not up",
                          interface.gbits
                              ? fmt::format("{:g} Gbit/s", *interface.gbits)
                              : "speed not known"));
  for (const RdmaPort &port : topology.ports)
    table.add("network",
              fmt::format("{}: {}, {}, {:g} Gbit/s{}", port.name, port.layer,
                          port.isActive ? "up" : "not up", port.gbits,
                          port.numaNode
                              ? fmt::format(", NUMA node {}", *port.numaNode)
                              : ""));
  if (topology.interfaces.empty() && topology.ports.empty())
    table.add("network", "none");
}

void addGpu(const GpuInfo &gpu, unsigned number, Table &table) {
  std::string name = fmt::format("GPU {}", number);
  table.add(
      name,
      fmt::format("{}, {}, sm_{}, {}", gpu.name, bytes(gpu.memoryBytes),
                  gpu.capability, gpu.busId) +
          (gpu.numaNode ? fmt::format(", NUMA node {}", *gpu.numaNode) : ""));
  std::string line =
      fmt::format("PCIe {} x{} of {} x{}, {}", gpu.pcie.generation,
                  gpu.pcie.width, gpu.pcie.maxGeneration, gpu.pcie.maxWidth,
                  counted(gpu.nvlinks.active, "NVLink"));
  for (auto [mode, what] : {std::pair{gpu.mig, "MIG"},
                            {gpu.ecc, "ECC"},
                            {gpu.persistence, "persistence"}})
    if (mode)
      line += fmt::format(", {} {}", what, *mode ? "on" : "off");
  table.add(name, line);
}

/// One row a GPU: NV18 is 18 NVLinks, PIX one PCIe switch, "-" anything else;
/// a "!" says that there is no access to the other's memory.
void addPairs(const GpuTopology &gpu, Table &table) {
  size_t count = gpu.gpus.size();
  if (count < 2)
    return;
  std::vector<std::vector<std::string>> cells(
      count, std::vector<std::string>(count, "."));
  for (const GpuPair &pair : gpu.pairs) {
    std::string cell = pair.nvlinks ? fmt::format("NV{}", pair.nvlinks)
                       : pair.sharesPcieSwitch ? "PIX"
                                               : "-";
    if (!pair.peerAccess.value_or(true))
      cell += "!";
    cells[pair.first][pair.second] = cells[pair.second][pair.first] = cell;
  }
  std::string header = "      ";
  for (size_t i = 0; i < count; ++i)
    header += fmt::format("{:<6}", i);
  header.erase(header.find_last_not_of(' ') + 1);
  table.add("links", header);
  for (size_t i = 0; i < count; ++i) {
    std::string row = fmt::format("{:<6}", i);
    for (const std::string &cell : cells[i])
      row += fmt::format("{:<6}", cell);
    row.erase(row.find_last_not_of(' ') + 1);
    table.add("links", row);
  }
}

void addGpus(const Topology &topology, Table &table) {
  const GpuTopology &gpu = topology.gpu;
  if (gpu.gpus.empty()) {
    table.add("GPUs",
              fmt::format("none{}", gpu.onBus
                                        ? fmt::format(" served of {} on the "
                                                      "PCI bus",
                                                      gpu.onBus)
                                        : ""));
    return;
  }
  table.add("driver", fmt::format("{}, CUDA {}.{}", gpu.driver, gpu.cuda / 1000,
                                  gpu.cuda % 1000 / 10));
  for (const GpuLibrary &library : topology.libraries)
    table.add("driver",
              library.name + " " +
                  (library.version ? version(*library.version) : "not found"));
  for (size_t i = 0; i < gpu.gpus.size(); ++i)
    addGpu(gpu.gpus[i], i, table);
  addPairs(gpu, table);
}

} // namespace

std::string tpcrt::toText(const Topology &topology) {
  Table table;
  addCpu(topology.cpu, table);
  addMemory(topology.memory, table);
  table.add("limits", fmt::format("locked memory {}, open files {}",
                                  limit(topology.limits.lockedBytes, true),
                                  limit(topology.limits.openFiles, false)));
  addNetwork(topology, table);
  addGpus(topology, table);
  return table.text;
}

std::string tpcrt::toText(const std::vector<Finding> &findings) {
  if (findings.empty())
    return "Nothing is misconfigured.\n";
  std::string text;
  for (const Finding &finding : findings)
    text += fmt::format(
        "{}: {}: expected {}; found {}\n  {}\n",
        finding.severity == Finding::Error ? "error" : "warning", finding.what,
        finding.expected, finding.found, finding.todo);
  return text;
}
