//===- TopologyMachine.cpp - A machine from what the system says ----------===//
//
// Rates on paper become rates that are reached by the share that built-in
// machines reach: an H100 has 18 NVLinks of 25 GB/s, and the built-in h100
// reaches 370 of these 450 GB/s, so NVLinks of its generation reach 82 %.
//
//   8 GPUs "NVIDIA H100 80GB HBM3"       tflops, memory_gb_per_s of h100
//   18 active NVLinks each, to switches  {nvlink, devices 8, 370 GB/s, NVLS}
//   8 active ports of 400 Gbit/s         {network, 46 GB/s}
//
//===----------------------------------------------------------------------===//

#include "tpc/Driver/TopologyMachine.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include <cmath>

using namespace tpc;
using tpcrt::GpuInfo;
using tpcrt::Topology;

namespace {

constexpr double kGB = 1e3; // GB/s, in bytes per microsecond

/// "4", "3.5"
std::string plain(double value) {
  std::string text;
  llvm::raw_string_ostream(text) << llvm::format("%.4g", value);
  return text;
}

/// The rate of a link, in GB/s, that large messages reach.
double reached(const Link &link) {
  double best = 0;
  for (const LinkAlgorithm &algorithm : link.algorithms)
    if (algorithm.kind == LinkAlgorithm::Ring)
      best = std::max(best, algorithm.bytesPerMicro / kGB);
  return best;
}

/// What the last row of a table says of a compute capability that is at least
/// its own.
template <class Row, size_t n>
const Row &rowOf(const Row (&rows)[n], unsigned capability) {
  const Row *found = &rows[0];
  for (const Row &row : rows)
    if (row.capability <= capability)
      found = &row;
  return *found;
}

//===----------------------------------------------------------------------===//
// Compute and memory of a GPU
//===----------------------------------------------------------------------===//

/// Products of tensor cores: operations of a core and clock, as NVIDIA's white
/// papers have them (dense, accumulated in f32). f32 is TF32, at half of bf16.
struct TensorRate {
  unsigned capability;
  double bf16, f64;
};
constexpr TensorRate tensorRates[] = {{80, 32, 2},
                                      {86, 8, 1. / 32},
                                      {90, 32, 2},
                                      {100, 64, 1},
                                      {120, 8, 1. / 32}};

/// The built-in machine of this kind of GPU. PCIe cards have lower clocks and
/// slower memory than the modules that are built in, and "GH200" is no "H200".
const Machine *builtInOf(const GpuInfo &gpu) {
  llvm::SmallVector<llvm::StringRef> words;
  llvm::SplitString(gpu.name, words, " -");
  for (llvm::StringRef word : words)
    if (word.equals_insensitive("PCIe") || word == "NVL" || word == "MIG")
      return nullptr;
  for (llvm::StringRef word : words) {
    const Machine *machine = findMachine(word.lower());
    if (!machine || machine->sharedByDevices)
      continue;
    double share = static_cast<double>(gpu.memoryBytes) /
                   static_cast<double>(*machine->memoryBytes);
    if (share > 0.9 && share < 1.1)
      return machine;
  }
  return nullptr;
}

tpcrt::Result<void> describeGpu(const GpuInfo &gpu, TopologyMachine &result) {
  Machine &machine = result.machine;
  machine.operationMicros = findMachine("h100")->operationMicros;
  machine.memoryBytes = static_cast<int64_t>(gpu.memoryBytes);
  if (const Machine *known = builtInOf(gpu)) {
    machine.flopsF64 = known->flopsF64;
    machine.flopsF32 = known->flopsF32;
    machine.flops16 = known->flops16;
    machine.memoryBytesPerMicro = known->memoryBytesPerMicro;
    machine.operationMicros = known->operationMicros;
    result.notes.push_back("rates of products and of memory: those of the "
                           "built-in machine " +
                           known->name);
    return {};
  }
  if (!gpu.memoryBytes || !gpu.cores || !gpu.clockMhz || !gpu.memoryClockMhz ||
      !gpu.memoryBusBits)
    return tpcrt::makeError(
        gpu.name +
        ": expected its memory, number of cores, clocks and width of "
        "the memory bus, to estimate its rates; the driver does not "
        "tell all of them. Take a built-in machine that is close (" +
        machineNames() + "), or write the file by hand (docs/machines.md)");
  // What the built-in machines reach: 0.7 to 0.85 of products, 0.83 to 0.87 of
  // memory, which moves two words a clock.
  constexpr double products = 0.7, memory = 0.85;
  const TensorRate &rate = rowOf(tensorRates, gpu.capability);
  double clocks = double(gpu.cores) * gpu.clockMhz; // per microsecond
  machine.flops16 = products * clocks * rate.bf16;
  machine.flopsF32 = machine.flops16 / 2;
  machine.flopsF64 = products * clocks * rate.f64;
  machine.memoryBytesPerMicro =
      memory * 2 * gpu.memoryClockMhz * (gpu.memoryBusBits / 8.);
  result.notes.push_back(
      llvm::formatv("rates of products and of memory: estimated, as {0} is not "
                    "built in: {1} cores at {2} MHz, {3} bits at {4} MHz",
                    gpu.name, gpu.cores, gpu.clockMhz, gpu.memoryBusBits,
                    gpu.memoryClockMhz));
  return {};
}

//===----------------------------------------------------------------------===//
// Links between GPUs
//===----------------------------------------------------------------------===//

/// What a NVLink of this GPU does on paper (GB/s in one direction), and the
/// built-in machine, with its links, whose share of that is taken. The version
/// that NVML tells is not used: for an H100 some drivers say 5.
struct NvlinkRate {
  unsigned capability, version;
  double gbps;
  const char *builtIn;
  double builtInPaper;
};
constexpr NvlinkRate nvlinkRates[] = {{80, 3, 25, "a100", 12 * 25},
                                      {86, 3, 14.0625, "a100", 12 * 25},
                                      {90, 4, 25, "h100", 18 * 25},
                                      {100, 5, 50, "b200", 18 * 50}};

/// How many consecutive GPUs NVLink joins, each with each: 1 if it joins none,
/// or not all groups alike.
unsigned nvlinkDomain(const Topology &topology) {
  unsigned count = topology.gpu.gpus.size();
  std::vector<unsigned> sizes(count, 1);
  for (const tpcrt::GpuPair &pair : topology.gpu.pairs)
    if (pair.nvlinks) {
      ++sizes[pair.first];
      ++sizes[pair.second];
    }
  unsigned size = sizes[0];
  if (!llvm::all_equal(sizes) || count % size != 0)
    return 1;
  for (const tpcrt::GpuPair &pair : topology.gpu.pairs)
    if ((pair.nvlinks > 0) != (pair.first / size == pair.second / size))
      return 1;
  return size;
}

Link describeNvlink(const Topology &topology, unsigned domain,
                    std::vector<std::string> &notes) {
  const GpuInfo &gpu = topology.gpu.gpus[0];
  unsigned links = gpu.nvlinks.active;
  bool toSwitch = true;
  for (const GpuInfo &one : topology.gpu.gpus) {
    links = std::min(links, one.nvlinks.active);
    toSwitch &= one.nvlinks.toSwitch > 0;
  }
  const NvlinkRate &rate = rowOf(nvlinkRates, gpu.capability);
  double share =
      reached(findMachine(rate.builtIn)->links[0]) / rate.builtInPaper;
  double gbps = links * rate.gbps * share;
  notes.push_back(llvm::formatv(
      "nvlink: {0} GPUs, {1} links of version {2} each, {3} GB/s on paper, of "
      "which {4:P0} are reached, as by the built-in {5}",
      domain, links, rate.version, plain(links * rate.gbps), share,
      rate.builtIn));
  // Switches add up since those of Hopper.
  return nvlink(domain, gbps, toSwitch && gpu.capability >= 90);
}

/// GB/s of a lane in one direction, by generation; 0 if that is not known.
double laneRate(unsigned generation) {
  static constexpr double rates[] = {0, 0.25, 0.5, 0.985, 1.969, 3.938, 7.563};
  return rates[std::min(generation, 6u)];
}

tpcrt::Result<Link> describePcie(const Topology &topology,
                                 std::vector<std::string> &notes) {
  constexpr double share = 0.8;
  double paper = INFINITY;
  for (const GpuInfo &gpu : topology.gpu.gpus)
    paper = std::min(paper, gpu.pcie.width * laneRate(gpu.pcie.maxGeneration));
  if (!(paper > 0))
    return tpcrt::makeError(
        "expected the generation and width of each GPU's PCIe link, found 0: "
        "the driver does not tell them. Write the file by hand "
        "(docs/machines.md)");
  notes.push_back(llvm::formatv(
      "pcie: {0:f1} GB/s on paper, of which {1:P0} are assumed", paper, share));
  return pcie(topology.gpu.gpus.size(), paper * share);
}

//===----------------------------------------------------------------------===//
// The network
//===----------------------------------------------------------------------===//

struct Adapters {
  std::string kind;
  unsigned count = 0;
  double gbits = 0; ///< of each

  void add(double speed) {
    if (speed > gbits)
      count = 0;
    gbits = std::max(gbits, speed);
    count += speed == gbits;
  }
};

/// The fastest that are up: those of RDMA, which NCCL prefers, or others.
Adapters adaptersOf(const Topology &topology) {
  Adapters rdma{"ports for RDMA"}, others{"interfaces"};
  for (const tpcrt::RdmaPort &port : topology.ports)
    if (port.isActive)
      rdma.add(port.gbits);
  for (const tpcrt::NetworkInterface &interface : topology.interfaces)
    if (interface.isUp && !interface.kind.empty() && interface.gbits)
      others.add(*interface.gbits);
  return rdma.gbits > 0 ? rdma : others;
}

/// Nothing, with a note, if there is none whose speed is known.
std::optional<Link> describeNetwork(const Topology &topology,
                                    std::vector<std::string> &notes) {
  Adapters adapters = adaptersOf(topology);
  if (adapters.gbits == 0) {
    notes.push_back("network: none whose speed is known; the description "
                    "holds for devices of this host alone");
    return std::nullopt;
  }
  constexpr double builtInPaper = 400 / 8.; // of the adapter of an h100
  double share = reached(findMachine("h100")->links.back()) / builtInPaper;
  auto devices = static_cast<double>(topology.gpu.gpus.size());
  double paper = adapters.count * adapters.gbits / 8 / devices;
  notes.push_back(llvm::formatv(
      "network: {0} x {1} Gbit/s by {2}, {3:f1} GB/s per device on paper, of "
      "which {4:P0} are reached, as by the built-in h100",
      adapters.count, plain(adapters.gbits), adapters.kind, paper, share));
  return network(paper * share);
}

//===----------------------------------------------------------------------===//
// Machines
//===----------------------------------------------------------------------===//

tpcrt::Result<TopologyMachine> describeGpus(const Topology &topology) {
  const auto &gpus = topology.gpu.gpus;
  for (const GpuInfo &gpu : gpus) {
    if (gpu.name != gpus[0].name)
      return tpcrt::makeError("expected GPUs of one kind, found " +
                              gpus[0].name + " and " + gpu.name +
                              ": a description has one; write the file by "
                              "hand (docs/machines.md)");
    if (gpu.capability < 80)
      return tpcrt::makeError(
          "expected GPUs of compute capability 8.0 or newer, found " +
          gpu.name + ": tpc does not run on it");
  }
  TopologyMachine result;
  result.machine.name = llvm::formatv("{0} x {1}", gpus.size(), gpus[0].name);
  if (auto described = describeGpu(gpus[0], result); !described)
    return tl::unexpected(described.error());
  auto &links = result.machine.links;
  unsigned domain = nvlinkDomain(topology);
  if (domain > 1)
    links.push_back(describeNvlink(topology, domain, result.notes));
  else if (llvm::any_of(
               gpus, [](const GpuInfo &gpu) { return gpu.nvlinks.active > 0; }))
    result.notes.push_back("nvlink: left out, as it does not join equal groups "
                           "of consecutive GPUs");
  std::optional<Link> outer = describeNetwork(topology, result.notes);
  // A link has to join something: one GPU without a network stands alone.
  if ((domain < gpus.size() && gpus.size() > 1) || (!outer && links.empty())) {
    auto link = describePcie(topology, result.notes);
    if (!link)
      return tl::unexpected(link.error());
    links.push_back(std::move(*link));
  }
  if (outer)
    links.push_back(std::move(*outer));
  links.back().devices = 0; // joins all
  return result;
}

/// The built-in cpu, which is two cores of a server with AMX, as often as there
/// are cores, and slower by the instructions that are missing.
TopologyMachine describeCpu(const Topology &topology) {
  const tpcrt::CpuTopology &cpu = topology.cpu;
  TopologyMachine result;
  Machine &machine = result.machine = *findMachine("cpu");
  double cores = std::max(1.0, std::min<double>(cpu.usable(), cpu.cores));
  double times = cores / 2;
  machine.name = llvm::formatv("cpu, {0} cores, not measured", plain(cores));
  machine.flopsF64 *= times;
  machine.flopsF32 *= times * (cpu.avx512 ? 1 : 0.5);
  machine.flops16 = cpu.amxBf16      ? machine.flops16 * times
                    : cpu.avx512Bf16 ? machine.flopsF32 * 2
                                     : machine.flopsF32;
  machine.memoryBytesPerMicro *= times;
  result.notes.push_back(
      llvm::formatv("rates: assumed, as {0} times two cores of the built-in "
                    "cpu; tpc-run --calibrate measures them",
                    plain(times)));
  return result;
}

} // namespace

tpcrt::Result<TopologyMachine> tpc::describeTopology(const Topology &topology) {
  if (topology.gpu.gpus.empty())
    return describeCpu(topology);
  return describeGpus(topology);
}
