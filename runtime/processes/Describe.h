// How messages name processes and times.
#ifndef TPCRT_PROCESSES_DESCRIBE_H
#define TPCRT_PROCESSES_DESCRIBE_H

#include "tpcrt/ProcessGroup.h"

namespace tpcrt {

/// "rank 2 (pid 4711 on node3)"
std::string describe(const ProcessInfo &process);
/// "rank 3", "ranks 1, 2"; many are cut short.
std::string describeRanks(const std::vector<uint32_t> &ranks);
/// "0.5 s"
std::string describe(std::chrono::milliseconds time);

} // namespace tpcrt

#endif // TPCRT_PROCESSES_DESCRIBE_H
