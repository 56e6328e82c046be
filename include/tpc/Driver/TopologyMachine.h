//===- TopologyMachine.h - A machine from what the system says --*- C++ -*-===//
//
// What `tpc-run --doctor --machine-out` writes: the description of a machine
// that is there, made of its topology instead of measured.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_DRIVER_TOPOLOGYMACHINE_H
#define TPC_DRIVER_TOPOLOGYMACHINE_H

#include "tpc/Sharding/Machine.h"
#include "tpcrt/Error.h"
#include "tpcrt/Topology.h"

namespace tpc {

struct TopologyMachine {
  Machine machine;
  /// Where its figures come from, and what is assumed; a line each.
  std::vector<std::string> notes;
};

/// The GPUs, or, without any, the CPU. An error if there are GPUs of which too
/// little is known, or that tpc does not run on.
tpcrt::Result<TopologyMachine>
describeTopology(const tpcrt::Topology &topology);

} // namespace tpc

#endif // TPC_DRIVER_TOPOLOGYMACHINE_H
