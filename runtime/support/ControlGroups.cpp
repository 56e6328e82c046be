#include "support/ControlGroups.h"

#include <fstream>
#include <sstream>

using namespace tpcrt;

std::optional<uint64_t> tpcrt::readNumber(const std::string &path) {
  uint64_t value;
  if (std::ifstream(path) >> value)
    return value;
  return std::nullopt;
}

static bool holds(const std::string &list, const std::string &name) {
  std::istringstream names(list);
  for (std::string one; std::getline(names, one, ',');)
    if (one == name)
      return true;
  return false;
}

/// A line of /proc/self/cgroup is "0::/a/b" in version 2, "4:memory:/a/b" in
/// version 1; the limits of /a and / hold too. In a container the path may be
/// that outside of it, and the group is then the root of what is mounted.
std::vector<ControlGroup> tpcrt::controlGroups(const std::string &root,
                                               const std::string &controller) {
  std::vector<ControlGroup> groups;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos)
      continue;
    std::string controllers = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1);
    bool isVersionTwo = controllers.empty();
    if (!isVersionTwo && !holds(controllers, controller))
      continue;
    std::string base = root + "/sys/fs/cgroup";
    if (!isVersionTwo)
      base += "/" + controller;
    while (true) {
      while (!path.empty() && path.back() == '/')
        path.pop_back();
      groups.push_back({base + path, isVersionTwo});
      if (path.empty())
        break;
      path.erase(path.rfind('/') == path.npos ? 0 : path.rfind('/'));
    }
  }
  return groups;
}
