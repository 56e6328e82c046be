// What may be wrong with a machine, one function for each: it adds a finding,
// or several, or none. Docs: docs/doctor.md has them as a table.
#ifndef TPCRT_TOPOLOGY_CHECKS_H
#define TPCRT_TOPOLOGY_CHECKS_H

#include "tpcrt/Topology.h"

namespace tpcrt {

using Findings = std::vector<Finding>;

// HostChecks.cpp
void checkInstructions(const Topology &topology, Findings &findings);
void checkQuota(const Topology &topology, Findings &findings);
void checkAffinity(const Topology &topology, Findings &findings);
void checkOpenMp(const Topology &topology, Findings &findings);
void checkHugePages(const Topology &topology, Findings &findings);
void checkSharedMemory(const Topology &topology, Findings &findings);
void checkLockedMemory(const Topology &topology, Findings &findings);
void checkOpenFiles(const Topology &topology, Findings &findings);
void checkInterfaces(const Topology &topology, Findings &findings);
void checkRdmaPorts(const Topology &topology, Findings &findings);

// GpuChecks.cpp
void checkDriver(const Topology &topology, Findings &findings);
void checkDriverAge(const Topology &topology, Findings &findings);
void checkLibraries(const Topology &topology, Findings &findings);
void checkCapability(const Topology &topology, Findings &findings);
void checkMig(const Topology &topology, Findings &findings);
void checkPcieLinks(const Topology &topology, Findings &findings);
void checkNvLinks(const Topology &topology, Findings &findings);
void checkPeerAccess(const Topology &topology, Findings &findings);
void checkTranslation(const Topology &topology, Findings &findings);
void checkSlowdowns(const Topology &topology, Findings &findings);
void checkPersistence(const Topology &topology, Findings &findings);

} // namespace tpcrt

#endif // TPCRT_TOPOLOGY_CHECKS_H
