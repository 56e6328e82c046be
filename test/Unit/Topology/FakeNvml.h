// An NVML that tells of GPUs that are not there.
#ifndef TPC_TEST_UNIT_TOPOLOGY_FAKENVML_H
#define TPC_TEST_UNIT_TOPOLOGY_FAKENVML_H

#include <set>
#include <string>
#include <vector>

namespace tpcrt {
struct Nvml; // topology/Nvml.h
}

namespace tpcrt::test {

struct FakeGpu {
  std::string name = "NVIDIA H100 80GB HBM3";
  unsigned bus = 0;
  unsigned long long memoryMiB = 81559;
  int major = 9, minor = 0;
  unsigned cores = 16896, clockMhz = 1980;
  unsigned memoryClockMhz = 2619, memoryBusBits = 5120;
  unsigned generation = 5, maxGeneration = 5, width = 16, maxWidth = 16;
  /// Bus of the GPU at the other end of each link; toSwitch, or down.
  static constexpr unsigned toSwitch = 1000, down = 1001;
  std::vector<unsigned> links;
  unsigned mig = 0, ecc = 1, persistence = 1, performanceState = 0;
  unsigned long long slowdowns = 0;
  bool tellsModes = true;
};

struct FakeNvml {
  std::string driver = "550.54.15";
  int cuda = 12040;
  std::vector<FakeGpu> gpus;
  /// GPUs without access to others' memory, and pairs on one PCIe switch.
  std::set<unsigned> isolated;
  std::set<std::pair<unsigned, unsigned>> onOneSwitch;
  /// What nvmlInit returns.
  int initResult = 0;
  /// Calls of nvmlInit without nvmlShutdown.
  int open = 0;
};

/// The one that the functions tell of.
FakeNvml &fakeNvml();
Nvml fakeNvmlTable();

} // namespace tpcrt::test

#endif // TPC_TEST_UNIT_TOPOLOGY_FAKENVML_H
