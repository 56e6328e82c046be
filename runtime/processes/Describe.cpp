// Texts for messages.
#include "processes/Describe.h"
#include "support/Fail.h"

#include <algorithm>

using namespace tpcrt;
using std::chrono::milliseconds;

std::string tpcrt::describe(const ProcessInfo &process) {
  return fmt::format("rank {} (pid {} on {})", process.rank, process.pid,
                     process.hostName);
}

std::string tpcrt::describeRanks(const std::vector<uint32_t> &ranks) {
  constexpr size_t shown = 16;
  size_t count = std::min(ranks.size(), shown);
  std::string text =
      fmt::format("rank{} {}", ranks.size() == 1 ? "" : "s",
                  fmt::join(ranks.begin(), ranks.begin() + count, ", "));
  if (ranks.size() > shown)
    text += fmt::format(" and {} more", ranks.size() - shown);
  return text;
}

std::string tpcrt::describe(milliseconds time) {
  return fmt::format("{:g} s", double(time.count()) / 1000);
}
