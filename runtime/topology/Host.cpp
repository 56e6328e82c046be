// The CPU, its memory, and what this process may take of them.
#include "support/ControlGroups.h"
#include "support/ParseNumber.h"
#include "topology/Files.h"
#include "topology/Readers.h"
#include "tpcrt/AvailableMemory.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <sys/statvfs.h>

using namespace tpcrt;

unsigned tpcrt::countOfList(const std::string &list) {
  unsigned count = 0;
  std::istringstream ranges(list);
  for (std::string range; std::getline(ranges, range, ',');) {
    unsigned first = 0, last = 0;
    char dash;
    std::istringstream numbers(range);
    if (!(numbers >> first))
      continue;
    last = numbers >> dash >> last ? last : first;
    count += last >= first ? last - first + 1 : 0;
  }
  return count;
}

namespace {

std::string trimmed(const std::string &text) {
  size_t first = text.find_first_not_of(" \t"),
         last = text.find_last_not_of(" \t");
  return first == text.npos ? "" : text.substr(first, last - first + 1);
}

/// The value of the first line "key : value" of a file.
std::string valueOf(const std::string &path, const std::string &key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);)
    if (size_t colon = line.find(':');
        colon != line.npos && trimmed(line.substr(0, colon)) == key)
      return trimmed(line.substr(colon + 1));
  return "";
}

/// Of "  8192 kB" in bytes.
uint64_t kibibytes(const std::string &text) {
  uint64_t value = 0;
  std::istringstream(text) >> value;
  return value << 10;
}

/// Sockets, cores and threads by the entries of /proc/cpuinfo, one a thread.
void countCores(const std::string &root, CpuTopology &cpu) {
  std::set<std::string> sockets;
  std::set<std::pair<std::string, std::string>> cores;
  std::string socket;
  std::ifstream file(root + "/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    size_t colon = line.find(':');
    std::string key = trimmed(line.substr(0, colon));
    std::string value =
        colon == line.npos ? "" : trimmed(line.substr(colon + 1));
    if (key == "processor")
      ++cpu.threads;
    else if (key == "physical id")
      sockets.insert(socket = value);
    else if (key == "core id")
      cores.insert({socket, value});
  }
  // Some virtual machines do not say what is a core.
  cpu.sockets = std::max<size_t>(sockets.size(), cpu.threads ? 1 : 0);
  cpu.cores = cores.empty() ? cpu.threads : cores.size();
}

void readInstructions(const std::string &root, CpuTopology &cpu) {
  std::set<std::string> flags;
  std::istringstream words(valueOf(root + "/proc/cpuinfo", "flags"));
  for (std::string word; words >> word;)
    flags.insert(word);
  auto have = [&](std::initializer_list<const char *> names) {
    return std::all_of(names.begin(), names.end(),
                       [&](const char *name) { return flags.count(name); });
  };
  cpu.avx2 = have({"avx2", "fma", "f16c"});
  cpu.avx512 =
      cpu.avx2 && have({"avx512f", "avx512bw", "avx512dq", "avx512vl"});
  cpu.avx512Bf16 = cpu.avx512 && have({"avx512_bf16"});
  cpu.amxBf16 = cpu.avx512Bf16 && have({"amx_tile", "amx_bf16"});
}

/// "cpu.max" holds "200000 100000": microseconds in a period of microseconds.
std::optional<double> quotaOf(const ControlGroup &group) {
  std::optional<uint64_t> time, period;
  if (group.isVersionTwo) {
    std::istringstream words(readLine(group.folder + "/cpu.max"));
    std::string first, second;
    words >> first >> second;
    time = parseNumber<uint64_t>(first);
    period = parseNumber<uint64_t>(second);
  } else {
    // -1, no limit, is no number here.
    time = parseNumber<uint64_t>(readLine(group.folder + "/cpu.cfs_quota_us"));
    period = readNumber(group.folder + "/cpu.cfs_period_us");
  }
  if (!time || !period || *period == 0)
    return std::nullopt;
  return static_cast<double>(*time) / static_cast<double>(*period);
}

} // namespace

double CpuTopology::usable() const {
  return quota ? std::min<double>(*quota, allowedThreads) : allowedThreads;
}

CpuTopology tpcrt::readCpu(const std::string &root) {
  CpuTopology cpu;
  cpu.model = valueOf(root + "/proc/cpuinfo", "model name");
  countCores(root, cpu);
  readInstructions(root, cpu);
  for (const ControlGroup &group : controlGroups(root, "cpu"))
    takeLess(cpu.quota, quotaOf(group));
  cpu.groupThreads = cpu.threads;
  for (const auto &[folder, isVersionTwo] : controlGroups(root, "cpuset"))
    if (unsigned count = countOfList(
            readLine(folder + (isVersionTwo ? "/cpuset.cpus.effective"
                                            : "/cpuset.effective_cpus"))))
      cpu.groupThreads = std::min(cpu.groupThreads, count);
  unsigned allowed =
      countOfList(valueOf(root + "/proc/self/status", "Cpus_allowed_list"));
  cpu.allowedThreads =
      std::min(allowed ? allowed : cpu.groupThreads, cpu.groupThreads);
  return cpu;
}

MemoryTopology tpcrt::readMemory(const std::string &root) {
  MemoryTopology memory;
  std::string meminfo = root + "/proc/meminfo";
  memory.totalBytes = kibibytes(valueOf(meminfo, "MemTotal"));
  memory.availableBytes = availableMemory(root);
  memory.hugePageBytes = kibibytes(valueOf(meminfo, "Hugepagesize"));
  memory.reservedHugePages =
      parseNumber<uint64_t>(valueOf(meminfo, "HugePages_Total")).value_or(0);
  for (const auto &[folder, isVersionTwo] : controlGroups(root, "memory"))
    // Version 1 writes a number beyond all memory where there is no limit.
    if (auto limit = readNumber(
            folder + (isVersionTwo ? "/memory.max" : "/memory.limit_in_bytes"));
        limit && *limit < memory.totalBytes)
      takeLess(memory.groupLimitBytes, limit);
  // "always [madvise] never"
  std::string pages =
      readLine(root + "/sys/kernel/mm/transparent_hugepage/enabled");
  if (size_t open = pages.find('['), close = pages.find(']');
      open != pages.npos && close != pages.npos && open < close)
    memory.transparentHugePages = pages.substr(open + 1, close - open - 1);
  struct statvfs shared;
  if (::statvfs((root + "/dev/shm").c_str(), &shared) == 0)
    memory.sharedBytes = uint64_t(shared.f_blocks) * shared.f_frsize;
  std::string nodes = root + "/sys/devices/system/node/";
  for (const std::string &name : namesIn(nodes)) {
    if (name.rfind("node", 0) != 0)
      continue;
    auto number = parseNumber<unsigned>(std::string_view(name).substr(4));
    if (!number)
      continue;
    std::string total = valueOf(nodes + name + "/meminfo",
                                "Node " + name.substr(4) + " MemTotal");
    memory.nodes.push_back(
        {*number, readLine(nodes + name + "/cpulist"), kibibytes(total)});
  }
  return memory;
}

/// "Max locked memory         8388608              8388608              bytes"
static std::optional<uint64_t> limitOf(const std::string &root,
                                       const std::string &name) {
  std::ifstream file(root + "/proc/self/limits");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(name, 0) != 0)
      continue;
    std::string soft;
    std::istringstream(line.substr(name.size())) >> soft;
    return soft == "unlimited" ? ProcessLimits::unlimited
                               : parseNumber<uint64_t>(soft);
  }
  return std::nullopt;
}

ProcessLimits tpcrt::readLimits(const std::string &root) {
  ProcessLimits limits;
  limits.lockedBytes = limitOf(root, "Max locked memory");
  limits.openFiles = limitOf(root, "Max open files");
  // Variables are separated by zeros.
  std::ifstream environment(root + "/proc/self/environ");
  for (std::string entry; std::getline(environment, entry, '\0');)
    if (std::string name = "OMP_THREAD_LIMIT="; entry.rfind(name, 0) == 0)
      limits.openMpThreads =
          parseNumber<uint64_t>(std::string_view(entry).substr(name.size()));
  return limits;
}
