// This process, as others are told of it.
#ifndef TPCRT_PROCESSES_HOST_H
#define TPCRT_PROCESSES_HOST_H

#include "tpcrt/ProcessGroup.h"

namespace tpcrt {

/// With a host key that processes share if they run on one kernel and see the
/// same abstract sockets: the id of this boot, and the network namespace.
ProcessInfo describeThisProcess(uint32_t rank);

/// `bytes` random bytes, in hexadecimal.
Result<std::string> randomText(size_t bytes);

} // namespace tpcrt

#endif // TPCRT_PROCESSES_HOST_H
