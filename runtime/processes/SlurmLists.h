// The lists that Slurm writes into the environment of a process.
#ifndef TPCRT_PROCESSES_SLURMLISTS_H
#define TPCRT_PROCESSES_SLURMLISTS_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tpcrt {

/// The first host of a list such as "node[003-007,9],login1": "node003".
/// Nothing if it is no such list.
std::optional<std::string> firstSlurmHost(std::string_view list);

/// The tasks of a node, by its index, in a list such as "4(x2),3".
std::optional<uint32_t> slurmTasksOfNode(std::string_view list, uint32_t node);

} // namespace tpcrt

#endif // TPCRT_PROCESSES_SLURMLISTS_H
