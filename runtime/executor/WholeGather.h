// How a process gets a whole tensor whose blocks lie on devices.
#ifndef TPCRT_EXECUTOR_WHOLEGATHER_H
#define TPCRT_EXECUTOR_WHOLEGATHER_H

#include "comm/Communicator.h"
#include "comm/DeviceDivision.h"

#include <optional>

namespace tpcrt {

/// Devices that hold every block once: the group of a device along all axes
/// that split the tensor. If each process has such a group among its own
/// devices, it copies their blocks; else all devices gather first.
///
///   [{dp}, {}] on dp=2, tp=2, two processes (devices 0, 1 and 2, 3):
///   all_gather over dp; process 0 has both blocks on device 0, process 1 on 2
struct WholeGather {
  std::vector<uint64_t> holders; // devices, in the order of their blocks
  /// The gathering operation; absent if the holders are local.
  std::optional<CollectiveOp> operation;
  /// Its number, once a communicator knows it.
  std::optional<uint32_t> collective;

  static WholeGather plan(const PlacedTensor &tensor, const Mesh &mesh,
                          const DeviceDivision &division);
  static WholeGather plan(const PlacedTensor &tensor, const Mesh &mesh,
                          const DeviceDivision &division,
                          Communicator &communicator);

  bool holds(uint64_t device) const {
    return !operation &&
           std::find(holders.begin(), holders.end(), device) != holders.end();
  }
};

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_WHOLEGATHER_H
