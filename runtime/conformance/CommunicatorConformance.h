// What every communicator must do. A case is a mesh and a list of collectives;
// runCase lets one thread per device go through the list, several times, and
// compares every element with a plain computation. Inputs are small integers,
// so that sums are exact in every type and order.
#ifndef TPCRT_CONFORMANCE_COMMUNICATORCONFORMANCE_H
#define TPCRT_CONFORMANCE_COMMUNICATORCONFORMANCE_H

#include "comm/Communicator.h"

#include <functional>

namespace tpcrt {

using CommunicatorFactory =
    std::function<std::unique_ptr<Communicator>(const Mesh &mesh)>;

struct ConformanceCase {
  std::string name; // letters, digits and underscores
  Mesh mesh;
  std::vector<CollectiveOp> ops; // every device runs them in this order
  bool inPlace = false;          // all_reduce with src == dst
};

/// All kinds, element types, reductions, sizes from 0 to a few MB, whole
/// meshes, sub-groups and sub-axes, 1 to 8 members.
std::vector<ConformanceCase> conformanceCases();

Result<void> runCase(const CommunicatorFactory &factory,
                     const ConformanceCase &test);

/// A device that finishes without joining a collective must fail the others at
/// once, and expire must fail them on demand; both with an error that names the
/// operation, its location and the missing device. Afterwards begin() makes the
/// communicator usable again.
Result<void> checkFailures(const CommunicatorFactory &factory);

} // namespace tpcrt

#endif // TPCRT_CONFORMANCE_COMMUNICATORCONFORMANCE_H
