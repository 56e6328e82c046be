//===- Doctor.cpp - This machine, and what is wrong with it ---------------===//

#include "Doctor.h"
#include "tpc/Driver/TopologyMachine.h"
#include "tpcrt/OutputFile.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/raw_ostream.h"

using namespace tpc;

static tpcrt::Result<void> writeMachine(const tpcrt::Topology &topology,
                                        const std::string &path) {
  auto described = describeTopology(topology);
  if (!described)
    return tl::unexpected(described.error());
  auto file = tpcrt::prepareText(path, machineText(described->machine));
  if (!file)
    return tl::unexpected(file.error());
  if (auto committed = file->commit(); !committed)
    return committed;
  llvm::outs() << "\nWrote " << path << ", \"" << described->machine.name
               << "\":\n";
  for (const std::string &note : described->notes)
    llvm::outs() << "  " << note << "\n";
  return {};
}

int tpc::examineMachine(const std::optional<std::string> &machineOut) {
  tpcrt::Topology topology = tpcrt::readTopology();
  std::vector<tpcrt::Finding> findings = tpcrt::examine(topology);
  llvm::outs() << tpcrt::toText(topology) << "\n" << tpcrt::toText(findings);
  if (machineOut)
    if (auto written = writeMachine(topology, *machineOut); !written) {
      llvm::errs() << "tpc-run: error: --machine-out: "
                   << written.error().message << "\n";
      return 1;
    }
  return llvm::any_of(findings, [](const tpcrt::Finding &finding) {
    return finding.severity == tpcrt::Finding::Error;
  });
}
