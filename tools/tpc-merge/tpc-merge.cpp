// Puts together what tpc-shard cut.
#include "tpcrt/WeightShards.h"

#include <cstdio>
#include <cstring>

static constexpr const char *usage =
    "usage: tpc-merge DIR -o OUT\n"
    "  DIR   what tpc-shard wrote\n"
    "  OUT   a new or empty folder, for the files as they were\n";

int main(int argc, char **argv) {
  if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
    std::fputs(usage, stdout);
    return 0;
  }
  if (argc != 4 || std::strcmp(argv[2], "-o") != 0) {
    std::fputs(usage, stderr);
    return 2;
  }
  auto merged = tpcrt::mergeShards(argv[1], argv[3]);
  if (!merged)
    std::fprintf(stderr, "tpc-merge: error: %s\n",
                 merged.error().message.c_str());
  return merged ? 0 : 1;
}
