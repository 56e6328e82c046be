// A host list may have several brackets ("rack[1-2]n[01-04]"): the first host
// takes the first number of each.
#include "processes/SlurmLists.h"
#include "support/ParseNumber.h"

using namespace tpcrt;

std::optional<std::string> tpcrt::firstSlurmHost(std::string_view list) {
  constexpr std::string_view digits = "0123456789";
  std::string host;
  while (!list.empty() && list.front() != ',') {
    if (list.front() == ']')
      return std::nullopt;
    if (list.front() != '[') {
      host += list.front();
      list.remove_prefix(1);
      continue;
    }
    size_t end = list.find(']');
    if (end == std::string_view::npos)
      return std::nullopt;
    std::string_view ranges = list.substr(1, end - 1);
    std::string_view number =
        ranges.substr(0, ranges.find_first_not_of(digits));
    if (number.empty() ||
        ranges.find_first_not_of("0123456789-,") != std::string_view::npos)
      return std::nullopt;
    host += number;
    list.remove_prefix(end + 1);
  }
  if (host.empty())
    return std::nullopt;
  return host;
}

std::optional<uint32_t> tpcrt::slurmTasksOfNode(std::string_view list,
                                                uint32_t node) {
  uint64_t nodes = 0; // that the entries so far stand for
  while (true) {
    size_t end = list.find(',');
    std::string_view entry = list.substr(0, end);
    size_t times = entry.find("(x");
    auto tasks = parseNumber<uint32_t>(entry.substr(0, times));
    std::optional<uint32_t> count = 1;
    if (times != std::string_view::npos) {
      if (entry.back() != ')')
        return std::nullopt;
      count = parseNumber<uint32_t>(
          entry.substr(times + 2, entry.size() - times - 3));
    }
    if (!tasks || !count)
      return std::nullopt;
    nodes += *count;
    if (node < nodes)
      return tasks;
    if (end == std::string_view::npos)
      return std::nullopt;
    list.remove_prefix(end + 1);
  }
}
