// Network interfaces, and ports of adapters for InfiniBand and RoCE.
#include "support/ParseNumber.h"
#include "topology/Files.h"
#include "topology/Readers.h"

#include <sstream>

using namespace tpcrt;

std::vector<NetworkInterface> tpcrt::readInterfaces(const std::string &root) {
  std::vector<NetworkInterface> found;
  std::string folder = root + "/sys/class/net/";
  for (const std::string &name : namesIn(folder)) {
    // Loopback; what is no folder is no interface.
    if (name == "lo" || !exists(folder + name + "/operstate"))
      continue;
    NetworkInterface interface;
    interface.name = name;
    interface.isUp = readLine(folder + name + "/operstate") == "up";
    if (exists(folder + name + "/device"))
      interface.kind = readLine(folder + name + "/device/vendor") + ":" +
                       readLine(folder + name + "/device/device");
    // -1 where it is not known.
    if (auto megabits =
            parseNumber<unsigned>(readLine(folder + name + "/speed")))
      interface.gbits = *megabits / 1e3;
    found.push_back(std::move(interface));
  }
  return found;
}

std::vector<RdmaPort> tpcrt::readRdmaPorts(const std::string &root) {
  std::vector<RdmaPort> found;
  std::string folder = root + "/sys/class/infiniband/";
  for (const std::string &adapter : namesIn(folder)) {
    std::string ports = folder + adapter + "/ports/";
    for (const std::string &number : namesIn(ports)) {
      RdmaPort port;
      port.name = adapter + " port " + number;
      port.kind = readLine(folder + adapter + "/hca_type");
      port.layer = readLine(ports + number + "/link_layer");
      // "4: ACTIVE", "400 Gb/sec (4X NDR)"
      port.isActive = readLine(ports + number + "/state").rfind("4:", 0) == 0;
      std::istringstream(readLine(ports + number + "/rate")) >> port.gbits;
      port.numaNode = parseNumber<unsigned>(
          readLine(folder + adapter + "/device/numa_node"));
      found.push_back(std::move(port));
    }
  }
  return found;
}
