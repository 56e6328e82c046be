// Which devices of a mesh each process runs.
#ifndef TPCRT_COMM_DEVICEDIVISION_H
#define TPCRT_COMM_DEVICEDIVISION_H

#include "support/Fail.h"
#include "tpcrt/Placement.h"
#include "tpcrt/ProcessGroup.h"

namespace tpcrt {

/// Devices are numbered with the last mesh axis fastest, and processes run
/// equally many, so that the minor axes stay within a process.
struct DeviceDivision {
  uint64_t perProcess = 1;
  uint32_t rank = 0;

  /// Of the devices of `mesh` over `group`; null: this process runs all.
  static Result<DeviceDivision> of(const Mesh &mesh,
                                   const ProcessGroup *group) {
    uint64_t devices = mesh.numDevices();
    if (!group)
      return DeviceDivision{devices, 0};
    if (devices % group->size() != 0)
      return fail("expected a mesh whose number of devices is a multiple of "
                  "the {} processes, found {} devices: start fewer processes "
                  "or choose another mesh",
                  group->size(), devices);
    return DeviceDivision{devices / group->size(), group->rank()};
  }

  /// This process runs devices [first(), first() + perProcess).
  uint64_t first() const { return rank * perProcess; }
  uint32_t rankOf(uint64_t device) const {
    return static_cast<uint32_t>(device / perProcess);
  }
  bool isLocal(uint64_t device) const { return rankOf(device) == rank; }
};

} // namespace tpcrt

#endif // TPCRT_COMM_DEVICEDIVISION_H
