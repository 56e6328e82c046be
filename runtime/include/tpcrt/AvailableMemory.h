// How much memory this process may still take.
#ifndef TPCRT_AVAILABLEMEMORY_H
#define TPCRT_AVAILABLEMEMORY_H

#include <cstdint>
#include <optional>
#include <string>

namespace tpcrt {

/// The least of what the machine has (MemAvailable), and of what the limits of
/// this process's control groups leave (version 2, or the memory controller of
/// version 1). Nothing if the system says nothing. Files are read below `root`,
/// which tests replace.
std::optional<uint64_t> availableMemory(const std::string &root = "");

} // namespace tpcrt

#endif // TPCRT_AVAILABLEMEMORY_H
