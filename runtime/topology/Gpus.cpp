// GPUs, as NVML tells of them, and where they are on the PCI bus.
#include "support/ParseNumber.h"
#include "topology/Files.h"
#include "topology/Readers.h"

#include <algorithm>

using namespace tpcrt;

namespace {

// Values of NVML's enumerations.
constexpr int clockSm = 1, clockMemory = 2;
constexpr unsigned remoteSwitch = 2;            // 0: a GPU
constexpr int peerRead = 0, peerWrite = 1;      // asked for
constexpr unsigned peerOk = 0, peerUnknown = 6; // answered; else why not
constexpr unsigned onePcieSwitch = 10;          // the nearest thing in common

constexpr unsigned mostNvlinks = 64; // more than any GPU has

/// The reasons for low clocks that something is wrong with, by their bits; an
/// idle GPU and clocks that were asked for are none.
constexpr std::pair<unsigned long long, const char *> slowdownNames[] = {
    {0x4, "power cap"},
    {0x8, "hardware"},
    {0x20, "temperature (driver)"},
    {0x40, "temperature (hardware)"},
    {0x80, "power brake"}};

/// "00000000:3B:00.0" as "0000:3b:00.0".
std::string busIdOf(const nvmlPciInfo_t &info) {
  return fmt::format("{:04x}:{:02x}:{:02x}.0", info.domain, info.bus,
                     info.device);
}

/// Reads one GPU. What NVML does not support for it stays as it is.
class GpuReader {
public:
  GpuReader(const Nvml &nvml, nvmlDevice_t device)
      : nvml(nvml), device(device) {}

  GpuInfo read() {
    char name[96] = {};
    if (nvml.nvmlDeviceGetName(device, name, sizeof(name)) == 0)
      gpu.name = name;
    nvmlPciInfo_t info = {};
    if (nvml.nvmlDeviceGetPciInfo_v3(device, &info) == 0)
      gpu.busId = busIdOf(info);
    nvmlMemory_t memory = {};
    if (nvml.nvmlDeviceGetMemoryInfo(device, &memory) == 0)
      gpu.memoryBytes = memory.total;
    int major = 0, minor = 0;
    if (nvml.nvmlDeviceGetCudaComputeCapability(device, &major, &minor) == 0)
      gpu.capability = major * 10 + minor;
    nvml.nvmlDeviceGetNumGpuCores(device, &gpu.cores);
    nvml.nvmlDeviceGetMaxClockInfo(device, clockSm, &gpu.clockMhz);
    nvml.nvmlDeviceGetMaxClockInfo(device, clockMemory, &gpu.memoryClockMhz);
    nvml.nvmlDeviceGetMemoryBusWidth(device, &gpu.memoryBusBits);
    nvml.nvmlDeviceGetCurrPcieLinkGeneration(device, &gpu.pcie.generation);
    nvml.nvmlDeviceGetMaxPcieLinkGeneration(device, &gpu.pcie.maxGeneration);
    nvml.nvmlDeviceGetCurrPcieLinkWidth(device, &gpu.pcie.width);
    nvml.nvmlDeviceGetMaxPcieLinkWidth(device, &gpu.pcie.maxWidth);
    readNvLinks();
    readModes();
    return std::move(gpu);
  }

private:
  void readNvLinks() {
    unsigned isActive = 0;
    // The library refuses the number of a link that there is not.
    for (unsigned link = 0;
         link < mostNvlinks &&
         nvml.nvmlDeviceGetNvLinkState(device, link, &isActive) == 0;
         ++link) {
      if (!isActive) {
        ++gpu.nvlinks.inactive;
        continue;
      }
      ++gpu.nvlinks.active;
      unsigned type = 0;
      nvmlPciInfo_t remote = {};
      if (nvml.nvmlDeviceGetNvLinkRemoteDeviceType(device, link, &type) != 0)
        continue;
      if (type == remoteSwitch)
        ++gpu.nvlinks.toSwitch;
      else if (nvml.nvmlDeviceGetNvLinkRemotePciInfo_v2(device, link,
                                                        &remote) == 0)
        gpu.nvlinks.peers.push_back(busIdOf(remote));
    }
  }

  void readModes() {
    unsigned now = 0, pending = 0;
    if (nvml.nvmlDeviceGetMigMode(device, &now, &pending) == 0)
      gpu.mig = now != 0;
    if (nvml.nvmlDeviceGetEccMode(device, &now, &pending) == 0)
      gpu.ecc = now != 0;
    if (nvml.nvmlDeviceGetPersistenceMode(device, &now) == 0)
      gpu.persistence = now != 0;
    if (nvml.nvmlDeviceGetPerformanceState(device, &now) == 0)
      gpu.performanceState = now;
    unsigned long long reasons = 0;
    if (nvml.nvmlDeviceGetCurrentClocksThrottleReasons(device, &reasons) == 0)
      for (auto [bit, name] : slowdownNames)
        if (reasons & bit)
          gpu.slowdowns.push_back(name);
  }

  const Nvml &nvml;
  nvmlDevice_t device;
  GpuInfo gpu;
};

/// What the system knows of the GPU's place on the bus.
void readPlace(const std::string &root, GpuInfo &gpu) {
  std::string folder = root + "/sys/bus/pci/devices/" + gpu.busId;
  // -1 where there is one node only.
  gpu.numaNode = parseNumber<unsigned>(readLine(folder + "/numa_node"));
  // "DMA" or "DMA-FQ"; "identity" passes addresses through.
  gpu.isTranslated =
      readLine(folder + "/iommu_group/type").rfind("DMA", 0) == 0;
}

GpuPair readPair(const Nvml &nvml, const std::vector<nvmlDevice_t> &devices,
                 const std::vector<GpuInfo> &gpus, unsigned first,
                 unsigned second) {
  GpuPair pair;
  pair.first = first;
  pair.second = second;
  const NvLinks &a = gpus[first].nvlinks, &b = gpus[second].nvlinks;
  pair.nvlinks = std::min(a.toSwitch, b.toSwitch) +
                 std::count(a.peers.begin(), a.peers.end(), gpus[second].busId);
  unsigned level = 0;
  pair.sharesPcieSwitch = nvml.nvmlDeviceGetTopologyCommonAncestor(
                              devices[first], devices[second], &level) == 0 &&
                          level <= onePcieSwitch;
  unsigned read = peerUnknown, write = peerUnknown;
  if (nvml.nvmlDeviceGetP2PStatus(devices[first], devices[second], peerRead,
                                  &read) == 0 &&
      nvml.nvmlDeviceGetP2PStatus(devices[first], devices[second], peerWrite,
                                  &write) == 0 &&
      read != peerUnknown && write != peerUnknown)
    pair.peerAccess = read == peerOk && write == peerOk;
  return pair;
}

/// Reads everything while the library is initialized.
Result<void> readAll(const std::string &root, const Nvml &nvml,
                     GpuTopology &found) {
  auto check = [&](int result, const char *function) -> Result<void> {
    if (result == 0)
      return {};
    return fail("{}: {}", function, nvml.nvmlErrorString(result));
  };
  char driver[96] = {};
  TPCRT_TRY(check(nvml.nvmlSystemGetDriverVersion(driver, sizeof(driver)),
                  "nvmlSystemGetDriverVersion"));
  found.driver = driver;
  TPCRT_TRY(check(nvml.nvmlSystemGetCudaDriverVersion_v2(&found.cuda),
                  "nvmlSystemGetCudaDriverVersion"));
  unsigned count = 0;
  TPCRT_TRY(check(nvml.nvmlDeviceGetCount_v2(&count), "nvmlDeviceGetCount"));
  std::vector<nvmlDevice_t> devices(count);
  for (unsigned i = 0; i < count; ++i) {
    TPCRT_TRY(check(nvml.nvmlDeviceGetHandleByIndex_v2(i, &devices[i]),
                    "nvmlDeviceGetHandleByIndex"));
    found.gpus.push_back(GpuReader(nvml, devices[i]).read());
    readPlace(root, found.gpus.back());
  }
  for (unsigned i = 0; i < count; ++i)
    for (unsigned j = i + 1; j < count; ++j)
      found.pairs.push_back(readPair(nvml, devices, found.gpus, i, j));
  return {};
}

/// Devices of NVIDIA that are controllers of displays or 3D, without the
/// virtual functions that a host gives to others.
unsigned countOnBus(const std::string &root) {
  unsigned count = 0;
  std::string folder = root + "/sys/bus/pci/devices/";
  for (const std::string &name : namesIn(folder))
    if (readLine(folder + name + "/vendor") == "0x10de" &&
        readLine(folder + name + "/class").rfind("0x03", 0) == 0 &&
        !exists(folder + name + "/physfn"))
      ++count;
  return count;
}

/// Every one of them numbers its versions as major, minor and patch: 22304.
GpuLibrary findLibrary(const char *name,
                       std::initializer_list<const char *> files,
                       const char *function) {
  GpuLibrary found;
  found.name = name;
  auto library = SharedLibrary::open(files, "install it");
  if (!library) {
    found.problem = library.error().message;
    return found;
  }
  size_t (*version)() = nullptr;
  if (auto known = library->find(function, version); known)
    found.version = static_cast<unsigned>(version());
  else
    found.problem = known.error().message;
  return found;
}

GpuLibrary findNccl() {
  GpuLibrary found;
  found.name = "NCCL";
  auto library = SharedLibrary::open({"libnccl.so.2"}, "install it");
  int (*get)(int *) = nullptr;
  int version = 0;
  if (!library)
    found.problem = library.error().message;
  else if (auto known = library->find("ncclGetVersion", get); !known)
    found.problem = known.error().message;
  else if (get(&version) != 0)
    found.problem = "ncclGetVersion fails";
  else
    found.version = version;
  return found;
}

} // namespace

GpuTopology tpcrt::readGpus(const std::string &root, const Result<Nvml> &nvml) {
  GpuTopology found;
  found.onBus = countOnBus(root);
  if (!nvml) {
    found.problem = nvml.error().message;
    return found;
  }
  found.hasNvml = true;
  if (int result = nvml->nvmlInit_v2(); result != 0) {
    found.problem = fmt::format("nvmlInit: {}", nvml->nvmlErrorString(result));
    return found;
  }
  if (auto read = readAll(root, *nvml, found); !read)
    found.problem = read.error().message;
  nvml->nvmlShutdown();
  return found;
}

std::vector<GpuLibrary> tpcrt::findGpuLibraries() {
  return {findLibrary("cuBLASLt", {"libcublasLt.so.13", "libcublasLt.so.12"},
                      "cublasLtGetVersion"),
          findNccl(),
          findLibrary("cuDNN", {"libcudnn.so.9"}, "cudnnGetVersion")};
}

Topology tpcrt::readTopology(const std::string &root, const Result<Nvml> &nvml,
                             std::vector<GpuLibrary> (*libraries)()) {
  Topology topology;
  topology.cpu = readCpu(root);
  topology.memory = readMemory(root);
  topology.limits = readLimits(root);
  topology.interfaces = readInterfaces(root);
  topology.ports = readRdmaPorts(root);
  topology.gpu = readGpus(root, nvml);
  if (!topology.gpu.gpus.empty())
    topology.libraries = libraries();
  return topology;
}

Topology tpcrt::readTopology() {
  return readTopology("", Nvml::load(), findGpuLibraries);
}
