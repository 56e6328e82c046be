// A process of a group for the tests of launchers
// (test/EndToEnd/test_launch.py): meets the others, comes to barriers, and
// ends.
//
//   group-member TIMEOUT STEPS [kill|stop|exit RANK]
//
// The rank does that to itself after half of the steps. Prints "rank R of N:
// STEPS steps", or the error.
#include "tpcrt/ProcessGroup.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <unistd.h>

using namespace tpcrt;

static Result<void> run(const LaunchSettings &settings, double seconds,
                        int steps, std::string_view act) {
  GroupOptions options;
  options.timeout = std::chrono::milliseconds(int64_t(seconds * 1000));
  auto group = ProcessGroup::connect(settings, options);
  if (!group)
    return makeError(group.error().message);
  for (int step = 0; step < steps; ++step) {
    if (step == steps / 2 && act == "kill")
      ::raise(SIGKILL);
    if (step == steps / 2 && act == "stop")
      ::raise(SIGSTOP);
    if (step == steps / 2 && act == "exit")
      std::exit(7);
    if (auto met = (*group)->barrier("step " + std::to_string(step)); !met)
      return met;
  }
  return (*group)->close();
}

int main(int argc, char **argv) {
  if (argc != 3 && argc != 5)
    return 2;
  auto found = readLaunchSettings();
  if (!found) {
    std::fprintf(stderr, "error: %s\n", found.error().message.c_str());
    return 1;
  }
  LaunchSettings settings = found->value_or(LaunchSettings());
  bool acts = argc == 5 && std::atoi(argv[4]) == int(settings.rank);
  int steps = std::atoi(argv[2]);
  auto result = run(settings, std::atof(argv[1]), steps, acts ? argv[3] : "");
  if (!result) {
    std::fprintf(stderr, "error: %s\n", result.error().message.c_str());
    return 1;
  }
  std::printf("rank %u of %u: %d steps\n", settings.rank, settings.size, steps);
  return 0;
}
