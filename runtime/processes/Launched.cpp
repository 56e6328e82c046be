#include "tpcrt/Launched.h"

#include "support/Fail.h"

#include <cstdio>
#include <utility>

using namespace tpcrt;

Result<Launched> Launched::join(GroupOptions options,
                                std::vector<Fault> faults) {
  Launched result;
  TPCRT_ASSIGN(auto settings, readLaunchSettings());
  if (!settings || settings->size == 1)
    return result;
  result.faults = std::move(faults);
  uint32_t rank = settings->rank;
  injectFaults(result.faults, rank, Fault::Place::Start);
  TPCRT_ASSIGN(result.processes,
               ProcessGroup::connect(std::move(*settings), std::move(options)));
  if (rank != 0 && !std::freopen("/dev/null", "w", stdout))
    return fail("cannot open /dev/null");
  return result;
}

Result<void> Launched::leave() {
  if (!processes || std::exchange(left, true))
    return {};
  injectFaults(faults, processes->rank(), Fault::Place::Exit);
  return processes->close();
}

void Launched::giveUp(std::string_view message) {
  if (processes)
    processes->abort(message);
}
