// The parts of a topology, each read by itself: files below a root that tests
// replace, GPUs from a table of functions that tests put in.
#ifndef TPCRT_TOPOLOGY_READERS_H
#define TPCRT_TOPOLOGY_READERS_H

#include "topology/Nvml.h"
#include "tpcrt/Topology.h"

namespace tpcrt {

CpuTopology readCpu(const std::string &root);
MemoryTopology readMemory(const std::string &root);
ProcessLimits readLimits(const std::string &root);
std::vector<NetworkInterface> readInterfaces(const std::string &root);
std::vector<RdmaPort> readRdmaPorts(const std::string &root);
GpuTopology readGpus(const std::string &root, const Result<Nvml> &nvml);
/// NCCL, cuBLASLt and cuDNN, by opening them.
std::vector<GpuLibrary> findGpuLibraries();

/// Everything, from these sources.
Topology readTopology(const std::string &root, const Result<Nvml> &nvml,
                      std::vector<GpuLibrary> (*libraries)());

/// How many numbers "0-3,8" names.
unsigned countOfList(const std::string &list);

} // namespace tpcrt

#endif // TPCRT_TOPOLOGY_READERS_H
