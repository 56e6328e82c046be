// What tools do that a launcher may have started as several processes: all do
// the same, and rank 0 speaks for them.
#ifndef TPCRT_LAUNCHED_H
#define TPCRT_LAUNCHED_H

#include "tpcrt/Fault.h"
#include "tpcrt/ProcessGroup.h"

namespace tpcrt {

/// The process's part in a group. Ending without leave() is a failure to the
/// others.
class Launched {
public:
  /// Meets the others, if a launcher started any. The standard output of all
  /// but rank 0 goes nowhere from then on.
  static Result<Launched> join(GroupOptions options,
                               std::vector<Fault> faults = {});

  /// Null if this process is alone.
  const std::shared_ptr<ProcessGroup> &group() const { return processes; }
  bool isLeader() const { return !processes || processes->rank() == 0; }

  /// After this, what the process does is no longer the others' business.
  Result<void> leave();
  /// Tells the others that this process ends with an error.
  void giveUp(std::string_view message);

private:
  std::shared_ptr<ProcessGroup> processes;
  std::vector<Fault> faults;
  bool left = false;
};

} // namespace tpcrt

#endif // TPCRT_LAUNCHED_H
