// Runs the members of a group on threads, at a port that the kernel chooses.
#ifndef GROUPHARNESS_H
#define GROUPHARNESS_H

#include "processes/Sockets.h"
#include "tpcrt/ProcessGroup.h"

#include <fmt/format.h>
#include <future>
#include <gtest/gtest.h>
#include <thread>

/// That a message has this in it.
#define EXPECT_SAYS(message, part)                                             \
  EXPECT_PRED2(::tpcrt::contains, std::string(message), std::string(part))

namespace tpcrt {

inline bool contains(const std::string &text, const std::string &part) {
  return text.find(part) != std::string::npos;
}

/// Where the members of one group meet.
class Meeting {
public:
  using Prepare = std::function<GroupOptions(LaunchSettings &)>;
  using Member = std::function<void(Result<std::shared_ptr<ProcessGroup>>)>;

  explicit Meeting(uint32_t size) : size(size) {
    reserved = std::move(*listenAt("127.0.0.1", 0));
    port = *localPort(reserved.get());
  }

  LaunchSettings settings(uint32_t rank) const {
    LaunchSettings settings;
    settings.rank = settings.localRank = rank;
    settings.size = settings.localSize = size;
    settings.address = "127.0.0.1";
    settings.port = port;
    settings.token = "secret";
    return settings;
  }

  /// The socket that keeps the port for rank 0.
  File takeListener() { return std::move(reserved); }

  /// Runs these ranks, each on a thread; rank 0 takes over the socket, unless
  /// that was taken.
  void run(const std::vector<uint32_t> &ranks, const Member &member,
           const Prepare &prepare) {
    std::vector<std::thread> threads;
    for (uint32_t rank : ranks) {
      LaunchSettings own = settings(rank);
      if (rank == 0 && reserved)
        own.listener = reserved.release();
      threads.emplace_back([&, own]() mutable {
        GroupOptions options = prepare(own);
        member(ProcessGroup::connect(own, options));
      });
    }
    for (std::thread &thread : threads)
      thread.join();
  }

  /// What connect says to these, none of which must succeed.
  std::vector<std::string> errors(const std::vector<uint32_t> &ranks,
                                  const Prepare &prepare) {
    std::mutex mutex;
    std::vector<std::string> errors;
    run(
        ranks,
        [&](Result<std::shared_ptr<ProcessGroup>> group) {
          std::lock_guard lock(mutex);
          EXPECT_FALSE(group);
          errors.push_back(group ? "" : group.error().message);
        },
        prepare);
    return errors;
  }
  std::vector<std::string> errors(const std::vector<uint32_t> &ranks,
                                  const GroupOptions &options) {
    return errors(ranks, [&](LaunchSettings &) { return options; });
  }

private:
  uint32_t size;
  File reserved;
  uint16_t port;
};

/// Runs `body` in each member of a group that has met.
inline void inProcesses(
    uint32_t size,
    const std::function<void(const std::shared_ptr<ProcessGroup> &)> &body,
    const GroupOptions &options = {}) {
  std::vector<uint32_t> ranks;
  for (uint32_t rank = 0; rank < size; ++rank)
    ranks.push_back(rank);
  Meeting(size).run(
      ranks,
      [&](Result<std::shared_ptr<ProcessGroup>> group) {
        ASSERT_TRUE(group) << group.error().message;
        body(*group);
      },
      [&](LaunchSettings &) { return options; });
}
inline void runGroup(uint32_t size,
                     const std::function<void(ProcessGroup &)> &body,
                     const GroupOptions &options = {}) {
  inProcesses(
      size, [&](const std::shared_ptr<ProcessGroup> &group) { body(*group); },
      options);
}

} // namespace tpcrt

#endif // GROUPHARNESS_H
