// Starts a command as several processes of this host that run one program
// together. docs/processes.md says what they get and how they end.
#include "Options.h"
#include "Run.h"

#include <cstdio>

int main(int argc, char **argv) {
  auto options = readOptions(argc, argv);
  if (!options) {
    std::fprintf(stderr, "tpc-launch: error: %s\n",
                 options.error().message.c_str());
    return 2;
  }
  if (options->help) {
    std::fputs(usage, stdout);
    return 0;
  }
  return Run(*options).run();
}
