#include "topology/Checks.h"

#include <algorithm>

using namespace tpcrt;

std::vector<Finding> tpcrt::examine(const Topology &topology) {
  static constexpr void (*checks[])(const Topology &, Findings &) = {
      checkInstructions, checkQuota,        checkAffinity,     checkOpenMp,
      checkHugePages,    checkSharedMemory, checkLockedMemory, checkOpenFiles,
      checkInterfaces,   checkRdmaPorts,    checkDriver,       checkDriverAge,
      checkLibraries,    checkCapability,   checkMig,          checkPcieLinks,
      checkNvLinks,      checkPeerAccess,   checkTranslation,  checkSlowdowns,
      checkPersistence};
  Findings findings;
  for (auto check : checks)
    check(topology, findings);
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding &a, const Finding &b) {
                     return a.severity > b.severity;
                   });
  return findings;
}
