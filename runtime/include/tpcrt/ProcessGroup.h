// The processes that run one program together: who they are, small messages
// between them, and news of those that fail.
//
//   auto settings = tpcrt::readLaunchSettings();    // of mpirun, torchrun, ...
//   auto group = tpcrt::ProcessGroup::connect(**settings);
//   auto names = (*group)->exchange("host name", name);
//   ...
//   (*group)->close();
//
// Rank 0 listens at the address that all know; everyone keeps one connection to
// it, watched by a thread of the group. So a process that ends is noticed at
// once by all; one that stops without ending is noticed by whoever waits for
// it, at its deadline. A group that has failed stays so.
#ifndef TPCRT_PROCESSGROUP_H
#define TPCRT_PROCESSGROUP_H

#include "tpcrt/Error.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tpcrt {

/// What a launcher tells a process.
struct LaunchSettings {
  uint32_t rank = 0; // among all processes
  uint32_t size = 1;
  uint32_t localRank = 0; // among those of this host
  uint32_t localSize = 1;
  std::string address; // where rank 0 listens
  uint16_t port = 0;
  std::string token;    // what every process must show; may be empty
  std::string launcher; // "tpc-launch", "torchrun", "Open MPI", "Slurm"
  /// A socket that listens at that port already, for rank 0 to take over. If
  /// this is no such socket, it did not survive the start of other programs in
  /// between, and rank 0 listens by itself.
  std::optional<int> listener;
};

/// Looks a variable up; null if it is not set.
using Environment = std::function<const char *(const char *name)>;

/// The settings in the environment: TPC_*, else RANK, WORLD_SIZE, LOCAL_RANK,
/// MASTER_ADDR, MASTER_PORT, else OMPI_COMM_WORLD_*, else SLURM_* (see
/// docs/processes.md). Nothing if no launcher is at work; an error if settings
/// are missing, malformed or contradict each other.
Result<std::optional<LaunchSettings>> readLaunchSettings();
Result<std::optional<LaunchSettings>>
readLaunchSettings(const Environment &environment);

struct GroupOptions {
  /// For all processes to arrive.
  std::chrono::milliseconds startTimeout{120000};
  /// For every exchange after that.
  std::chrono::milliseconds timeout{60000};
  /// What must be the same in all processes: the version of the program.
  std::string fingerprint;
};

/// Why the group cannot go on.
struct PeerFailure {
  uint32_t rank = 0;   // of the process that failed first
  std::string message; // "rank 2 (pid 4711 on node3) is gone"
};

struct ProcessInfo {
  uint32_t rank = 0;
  uint64_t pid = 0;
  std::string hostName;
  /// The same for processes that can share memory.
  std::string hostKey;
};

/// How processes exchange tensors.
enum class Transport : uint8_t {
  Auto,   // shared memory within a host, else the network
  Network // always the network
};

class ProcessGroup {
public:
  /// Meets the others. A process with another size, token or fingerprint, or
  /// with a rank that is taken, is refused with an error on both sides.
  static Result<std::shared_ptr<ProcessGroup>> connect(LaunchSettings settings,
                                                       GroupOptions options);
  ~ProcessGroup();

  uint32_t rank() const;
  uint32_t size() const;
  /// The processes of this host, this one included.
  uint32_t hostSize() const;
  /// Of this process, on the network over which it reaches rank 0.
  const std::string &localAddress() const;
  const GroupOptions &options() const;
  const std::vector<ProcessInfo> &processes() const; // by rank

  /// Gives every process the blob of every other, by rank. All processes call
  /// these in the same order with the same `what` (else an error says who
  /// called what). Not for tensors: a blob has at most 16 MiB.
  /// `limit`: how long the others may take; nothing: GroupOptions::timeout.
  using Limit = std::optional<std::chrono::milliseconds>;
  Result<std::vector<std::string>>
  exchange(std::string_view what, std::string_view blob, Limit limit = {});
  Result<void> barrier(std::string_view what, Limit limit = {});
  /// An error that names the ranks whose `fingerprint` differs from rank 0's.
  Result<void> agree(std::string_view what, std::string_view fingerprint,
                     Limit limit = {});
  /// Gives every process of this host a file descriptor of every other (the
  /// receiver owns it), by rank; -1 for processes on other hosts and itself.
  Result<std::vector<int>> exchangeFiles(std::string_view what, int file);

  /// The first failure of any process, this one's abort included.
  std::optional<PeerFailure> failure() const;
  /// Calls `listener` once, from the group's thread (or at once, if it has
  /// failed before), when the group fails. Returns what unlisten takes; after
  /// unlisten returns, the listener is not running and will not be called. A
  /// listener must not close or destroy the group.
  using Listener = std::function<void(const PeerFailure &)>;
  uint64_t listen(Listener listener);
  void unlisten(uint64_t id);

  /// Tells all processes that this one gives up.
  void abort(std::string_view message);

  /// The orderly end: waits until all processes call it. Without it, ending is
  /// a failure to the others.
  Result<void> close();

private:
  struct Impl;
  explicit ProcessGroup(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace tpcrt

#endif // TPCRT_PROCESSGROUP_H
