// What one check says of a topology.
#ifndef TPC_TEST_UNIT_TOPOLOGY_CHECKSSUPPORT_H
#define TPC_TEST_UNIT_TOPOLOGY_CHECKSSUPPORT_H

#include "FakeSystem.h"
#include "topology/Checks.h"

#include <gtest/gtest.h>

namespace tpcrt::test {

using Check = void (*)(const Topology &, Findings &);

/// The findings as "error: WHAT: EXPECTED; FOUND", one a line.
inline std::string saidBy(Check check, const Topology &topology) {
  Findings findings;
  check(topology, findings);
  std::string text;
  for (const Finding &finding : findings) {
    EXPECT_NE(finding.todo, "");
    text += (finding.severity == Finding::Error ? "error: " : "warning: ") +
            finding.what + ": " + finding.expected + "; " + finding.found +
            "\n";
  }
  return text;
}

/// A machine on which every check is silent; tests damage it.
inline Topology goodServer() {
  FakeSystem system;
  makeServer(system);
  Topology topology = system.read();
  topology.memory.sharedBytes = uint64_t(64) << 30;
  return topology;
}

} // namespace tpcrt::test

#endif // TPC_TEST_UNIT_TOPOLOGY_CHECKSSUPPORT_H
