// /proc/meminfo and control groups.
#include "tpcrt/AvailableMemory.h"

#include "support/ControlGroups.h"

#include <algorithm>
#include <fstream>
#include <sstream>

using namespace tpcrt;

namespace {

/// The number behind `key` in a file of lines "key number".
std::optional<uint64_t> readField(const std::string &path,
                                  const std::string &key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string first;
    uint64_t value;
    if (words >> first >> value && first == key)
      return value;
  }
  return std::nullopt;
}

/// What one group leaves. Pages of files that it has read can go.
std::optional<uint64_t> leftInGroup(const std::string &limitFile,
                                    const std::string &usageFile,
                                    const std::string &statFile,
                                    const std::string &filePagesKey) {
  auto limit = readNumber(limitFile), usage = readNumber(usageFile);
  if (!limit || !usage)
    return std::nullopt;
  uint64_t filePages = readField(statFile, filePagesKey).value_or(0);
  uint64_t used = *usage - std::min(*usage, filePages);
  return *limit - std::min(*limit, used);
}

} // namespace

std::optional<uint64_t> tpcrt::availableMemory(const std::string &root) {
  std::optional<uint64_t> least;
  if (auto kib = readField(root + "/proc/meminfo", "MemAvailable:"))
    least = *kib * 1024;
  for (const auto &[folder, isVersionTwo] : controlGroups(root, "memory"))
    if (isVersionTwo)
      takeLess(least,
               leftInGroup(folder + "/memory.max", folder + "/memory.current",
                           folder + "/memory.stat", "file"));
    else
      takeLess(least, leftInGroup(folder + "/memory.limit_in_bytes",
                                  folder + "/memory.usage_in_bytes",
                                  folder + "/memory.stat", "total_cache"));
  return least;
}
