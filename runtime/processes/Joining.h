// How a process other than rank 0 finds rank 0.
#ifndef TPCRT_PROCESSES_JOINING_H
#define TPCRT_PROCESSES_JOINING_H

#include "processes/Sockets.h"

namespace tpcrt {

struct Joined {
  Connection connection;
  ProcessInfo rank0;
  std::string received; // after that message
};

/// Connects, again and again until `end` if nobody or someone silent is there,
/// and says hello. `hello.waitMillis` is filled in.
Result<Joined> join(const LaunchSettings &settings, protocol::Hello hello,
                    std::chrono::steady_clock::time_point end);

} // namespace tpcrt

#endif // TPCRT_PROCESSES_JOINING_H
