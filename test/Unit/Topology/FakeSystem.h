// Machines that are made up: a tree of files that stands in for /proc and /sys,
// and GPUs for the fake NVML.
#ifndef TPC_TEST_UNIT_TOPOLOGY_FAKESYSTEM_H
#define TPC_TEST_UNIT_TOPOLOGY_FAKESYSTEM_H

#include "FakeNvml.h"
#include "TestFiles.h"
#include "tpcrt/Topology.h"

namespace tpcrt::test {

struct FakeSystem : TemporaryFolder {
  void write(const std::string &name, const std::string &text) const;
  void cpu(const std::string &model, unsigned sockets, unsigned coresPerSocket,
           const std::string &flags) const;
  void interface(const std::string &name, const std::string &state,
                 const std::string &speed, const std::string &device) const;
  void rdmaPort(const std::string &adapter, const std::string &rate,
                bool isActive, const std::string &layer, int node) const;
  /// Of everything, with the GPUs of fakeNvml() if it has any.
  Topology read() const;
};

extern const char *const serverFlags; ///< AVX-512 and AMX
extern const char *const laptopFlags; ///< AVX2

/// Two sockets, eight H100 on NVSwitches, eight adapters of 400 Gbit/s.
void makeServer(const FakeSystem &system);
/// Four cores, WLAN, nothing else.
void makeLaptop(const FakeSystem &system);
/// The server's CPU without GPUs, with limits of control groups.
void makeContainer(const FakeSystem &system);

} // namespace tpcrt::test

#endif // TPC_TEST_UNIT_TOPOLOGY_FAKESYSTEM_H
