// Starts one process of a run.
#ifndef TPC_LAUNCH_CHILD_H
#define TPC_LAUNCH_CHILD_H

#include "support/File.h"
#include "tpcrt/Error.h"

#include <cstdint>
#include <string>
#include <vector>

/// Where the processes meet.
struct Meeting {
  uint16_t port = 0;
  std::string token;
  tpcrt::File listener; // for rank 0
};

struct Child {
  pid_t pid = -1;         // and of its process group
  tpcrt::File out, error; // to read from, where they are piped
};

/// The process leads a group of its own, dies with this one, and has nothing
/// open that belongs to another. `piped`: its output comes back, but for the
/// standard output of rank 0, which stays as it is.
tpcrt::Result<Child> startChild(const std::vector<std::string> &command,
                                uint32_t rank, uint32_t size,
                                const Meeting &meeting, bool piped);

#endif // TPC_LAUNCH_CHILD_H
