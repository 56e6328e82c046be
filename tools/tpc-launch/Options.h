// The command line of tpc-launch.
#ifndef TPC_LAUNCH_OPTIONS_H
#define TPC_LAUNCH_OPTIONS_H

#include "tpcrt/Error.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

struct Options {
  uint32_t processes = 0;
  std::chrono::milliseconds timeout{60000};
  uint16_t port = 0; // 0: a free one
  bool prefix = true;
  bool help = false;
  std::vector<std::string> command;
};

extern const char *const usage;

tpcrt::Result<Options> readOptions(int argc, char **argv);

#endif // TPC_LAUNCH_OPTIONS_H
