// /proc/meminfo and control groups.
#include "tpcrt/AvailableMemory.h"

#include <algorithm>
#include <fstream>
#include <sstream>

using namespace tpcrt;

namespace {

/// A number alone in a file. "max", no limit, is none.
std::optional<uint64_t> readNumber(const std::string &path) {
  uint64_t value;
  if (std::ifstream(path) >> value)
    return value;
  return std::nullopt;
}

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

void takeLess(std::optional<uint64_t> &least, std::optional<uint64_t> other) {
  if (other)
    least = std::min(least.value_or(*other), *other);
}

/// A line of /proc/self/cgroup is "0::/a/b" in version 2, "4:memory:/a/b" in
/// version 1; the limits of /a and / hold too. In a container the path may be
/// that outside of it, and the group is then the root of what is mounted.
void takeGroups(std::optional<uint64_t> &least, const std::string &root,
                const std::string &line) {
  size_t first = line.find(':'), second = line.find(':', first + 1);
  if (first == line.npos || second == line.npos)
    return;
  std::string controllers = line.substr(first + 1, second - first - 1);
  std::string path = line.substr(second + 1);
  bool isSecond = controllers.empty();
  if (!isSecond && controllers != "memory")
    return;
  while (true) {
    while (!path.empty() && path.back() == '/')
      path.pop_back();
    if (std::string base = root + "/sys/fs/cgroup"; isSecond)
      takeLess(least, leftInGroup(base + path + "/memory.max",
                                  base + path + "/memory.current",
                                  base + path + "/memory.stat", "file"));
    else
      takeLess(least,
               leftInGroup(base + "/memory" + path + "/memory.limit_in_bytes",
                           base + "/memory" + path + "/memory.usage_in_bytes",
                           base + "/memory" + path + "/memory.stat",
                           "total_cache"));
    if (path.empty())
      return;
    path.erase(path.rfind('/') == path.npos ? 0 : path.rfind('/'));
  }
}

} // namespace

std::optional<uint64_t> tpcrt::availableMemory(const std::string &root) {
  std::optional<uint64_t> least;
  if (auto kib = readField(root + "/proc/meminfo", "MemAvailable:"))
    least = *kib * 1024;
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);)
    takeGroups(least, root, line);
  return least;
}
