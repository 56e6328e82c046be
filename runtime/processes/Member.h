// What one process knows of its group, from what rank 0 says. Rank 0 has one
// too, which its Coordinator talks to.
#ifndef TPCRT_PROCESSES_MEMBER_H
#define TPCRT_PROCESSES_MEMBER_H

#include "processes/Protocol.h"

namespace tpcrt {

class Member {
public:
  explicit Member(uint32_t size) : size(size) {}

  void received(std::string_view bytes);
  /// The connection to rank 0 has ended.
  void ended();
  /// The first failure counts.
  void fail(uint32_t rank, std::string message);

  /// Opens the next exchange; its contribution is for rank 0.
  protocol::Contribution open(std::string call, std::string_view blob,
                              uint32_t waitMillis);
  bool complete() const { return missing == 0; }
  std::vector<std::string> takeParts() { return std::move(parts); }

  /// By rank; empty until all are here.
  const std::vector<ProcessInfo> &processes() const { return all; }
  const std::optional<PeerFailure> &failure() const { return failed; }
  /// Who rank 0 is, as far as that is known.
  std::string leader() const;
  void setLeader(ProcessInfo process) { rank0 = std::move(process); }
  bool isClosed() const { return closed; }

private:
  bool handle(protocol::Message message);

  uint32_t size;
  protocol::FrameReader reader{protocol::maxBodyBytes};
  std::optional<ProcessInfo> rank0;
  std::vector<ProcessInfo> all;
  std::optional<PeerFailure> failed;
  uint64_t sequence = 0; // of the next exchange
  bool closing = false;  // the open exchange is the last
  bool closed = false;
  std::vector<std::string> parts; // of the open exchange, by rank
  std::vector<bool> have;
  uint32_t missing = 0;
};

} // namespace tpcrt

#endif // TPCRT_PROCESSES_MEMBER_H
