// Rank 0's part that serves all: lets processes in, collects what they give to
// an exchange, passes on the news of failures. It knows connections as numbers
// and what they say as bytes; sockets are for whoever drives it.
//
//            all ranks are here            all have said close
//   Meeting -------------------> Running ----------------------> Closed
//      |                            |
//      +---------> Failed <---------+   a rank is gone, late, or aborts
//
// A connection is a stranger until its Hello shows the token. Strangers have a
// limit in number, bytes and time, and never fail the group.
#ifndef TPCRT_PROCESSES_COORDINATOR_H
#define TPCRT_PROCESSES_COORDINATOR_H

#include "processes/Protocol.h"

#include <chrono>
#include <map>

namespace tpcrt {

/// What the last exchange of a group is called.
constexpr std::string_view closeCall = "close";

class Coordinator {
public:
  using Clock = std::chrono::steady_clock;
  using Connection = uint64_t;
  /// Of rank 0's own member.
  static constexpr Connection self = 0;
  static constexpr size_t maxStrangers = 64;
  static constexpr std::chrono::seconds strangerLimit{10};

  struct Config {
    uint32_t size = 1;
    std::string token;
    std::string fingerprint;
    std::string address; // "127.0.0.1:29500", for messages
    ProcessInfo process; // rank 0
    Clock::time_point begin;
    std::chrono::milliseconds startTimeout;
  };
  explicit Coordinator(Config config);

  /// What to send and then, with `drop`, to forget.
  struct Post {
    Connection to;
    protocol::Frame frame; // may be null
    bool drop = false;
  };
  std::vector<Post> takePosts() { return std::exchange(posts, {}); }

  /// `peer`: where a connection comes from, for messages.
  void opened(Connection connection, std::string peer, Clock::time_point now);
  void received(Connection connection, std::string_view bytes,
                Clock::time_point now);
  void ended(Connection connection);
  /// Does what is due.
  void advance(Clock::time_point now);
  /// When something will be due.
  std::optional<Clock::time_point> deadline() const;

  enum class State { Meeting, Running, Failed, Closed };
  State state() const { return current; }
  /// Whether every rank has been here, if only to hear of a failure.
  bool allCame() const { return came == config.size; }

private:
  struct Guest {
    std::string peer;
    protocol::FrameReader reader{protocol::maxHelloBytes};
    Clock::time_point opened;
    std::optional<uint32_t> rank; // of a member
  };
  struct Member {
    std::optional<ProcessInfo> process; // once it has come
    Connection connection = 0;
    std::optional<protocol::Contribution> given; // to the exchange
  };

  void greet(Connection connection, const protocol::Hello &hello,
             Clock::time_point now);
  void take(uint32_t rank, protocol::Contribution contribution,
            Clock::time_point now);
  void handle(Connection connection, protocol::Message message,
              Clock::time_point now);
  void refuse(Connection connection, std::string why);
  void drop(Connection connection);
  void failLate();
  void fail(uint32_t rank, std::string message);
  void send(Connection to, protocol::Frame frame, bool drop = false);
  void sendAll(const protocol::Frame &frame);
  std::string who(uint32_t rank) const;

  Config config;
  State current = State::Meeting;
  std::map<Connection, Guest> guests;
  std::vector<Member> members; // by rank
  uint32_t came = 0;
  uint64_t sequence = 0; // of the exchange that is open
  uint32_t arrived = 0;  // in that exchange
  /// Of the meeting, then of the exchange that is open.
  std::optional<Clock::time_point> due;
  std::chrono::milliseconds wait; // that `due` stands for
  std::string lastRefusal;
  size_t refusals = 0;
  protocol::Frame failure;
  std::vector<Post> posts;
};

} // namespace tpcrt

#endif // TPCRT_PROCESSES_COORDINATOR_H
