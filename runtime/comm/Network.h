// Bytes between processes over the network, by Gloo (TCP). Every process is
// connected to every other.
#ifndef TPCRT_COMM_NETWORK_H
#define TPCRT_COMM_NETWORK_H

#include "tpcrt/ProcessGroup.h"

#include <cstddef>
#include <set>
#include <span>

namespace tpcrt {

/// A message to or from a process. Its tag differs from those of all other
/// messages that are under way between the two.
struct Message {
  uint32_t rank = 0;
  std::byte *data = nullptr; // sent from, or received to
  uint64_t bytes = 0;
  uint64_t tag = 0;
};

class Network {
public:
  virtual ~Network() = default;

  /// All processes of the group call it.
  static Result<std::unique_ptr<Network>>
  connect(const std::shared_ptr<ProcessGroup> &group);

  /// Sends and receives; returns when all is done, with an error when a
  /// connection breaks or somebody aborts. It has no limit of its own: whoever
  /// waits for its result aborts at the deadline. Any number of threads may
  /// exchange at the same time.
  virtual Result<void> exchange(std::span<const Message> sends,
                                std::span<const Message> receives) = 0;

  /// The processes from which somebody waits to receive right now.
  virtual std::set<uint32_t> waitingFor() = 0;

  /// Fails every exchange, now and later.
  virtual void abort() = 0;
};

} // namespace tpcrt

#endif // TPCRT_COMM_NETWORK_H
