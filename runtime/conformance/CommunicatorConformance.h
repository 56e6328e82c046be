// What every communicator must do. A case is a mesh and a list of collectives;
// runCase lets one thread per device go through the list, several times, and
// compares every element with a plain computation. Inputs are small integers,
// so that sums are exact in every type and order.
#ifndef TPCRT_CONFORMANCE_COMMUNICATORCONFORMANCE_H
#define TPCRT_CONFORMANCE_COMMUNICATORCONFORMANCE_H

#include "comm/Communicator.h"

#include <functional>

namespace tpcrt {

/// The communicators of all processes that share the devices of a mesh evenly,
/// by rank. Tests run the processes' parts in threads.
using Communicators = std::vector<std::unique_ptr<Communicator>>;
using CommunicatorFactory =
    std::function<Result<Communicators>(const Mesh &mesh)>;

struct ConformanceCase {
  std::string name; // letters, digits and underscores
  Mesh mesh;
  std::vector<CollectiveOp> ops; // every device runs them in this order
  bool inPlace = false;          // all_reduce with src == dst
  unsigned rounds = 3;
};

/// Where the data of operations lie.
enum class Placing : uint8_t { Allocated, Elsewhere };

/// All kinds, element types, reductions, sizes from 0 to 64 MB, whole meshes,
/// sub-groups and sub-axes, 1 to 8 members.
std::vector<ConformanceCase> conformanceCases();

Result<void> runCase(const CommunicatorFactory &factory,
                     const ConformanceCase &test,
                     Placing placing = Placing::Allocated);

/// expire must fail all devices of an operation on demand, with an error that
/// names the operation, its location and the missing device.
Result<void> checkExpiry(const CommunicatorFactory &factory);

/// The same must happen at once when a device finishes without joining; after a
/// failure begin() makes the communicator usable again. Only where all devices
/// are in one process.
Result<void> checkRecovery(const CommunicatorFactory &factory);

} // namespace tpcrt

#endif // TPCRT_CONFORMANCE_COMMUNICATORCONFORMANCE_H
