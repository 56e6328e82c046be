#include "topology/Files.h"

#include <algorithm>

using namespace tpcrt;

std::vector<std::string> tpcrt::namesIn(const std::string &folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(folder, error), end;
       !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename());
  std::sort(names.begin(), names.end(), [](const auto &a, const auto &b) {
    return std::pair(a.size(), a) < std::pair(b.size(), b);
  });
  return names;
}
