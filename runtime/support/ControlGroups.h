// The control groups that a process is in, and their limits.
#ifndef TPCRT_SUPPORT_CONTROLGROUPS_H
#define TPCRT_SUPPORT_CONTROLGROUPS_H

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tpcrt {

struct ControlGroup {
  std::string folder;
  bool isVersionTwo;
};

/// The folders with files of `controller` ("memory", "cpu"), the process's own
/// group first, then those around it: limits of all of them hold. Below `root`.
std::vector<ControlGroup> controlGroups(const std::string &root,
                                        const std::string &controller);

/// A number alone in a file. "max", no limit, is none.
std::optional<uint64_t> readNumber(const std::string &path);

/// The lower of two limits, of which either may not be there.
template <class T>
void takeLess(std::optional<T> &least, std::optional<T> other) {
  if (other)
    least = std::min(least.value_or(*other), *other);
}

} // namespace tpcrt

#endif // TPCRT_SUPPORT_CONTROLGROUPS_H
