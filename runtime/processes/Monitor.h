// The thread of a group: it watches the connections, and what comes over them
// changes the group's state, under one lock.
#ifndef TPCRT_PROCESSES_MONITOR_H
#define TPCRT_PROCESSES_MONITOR_H

#include "processes/Coordinator.h"
#include "processes/Joining.h"
#include "processes/Member.h"
#include "processes/Sockets.h"

#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

namespace tpcrt {

class Monitor {
public:
  using Clock = Coordinator::Clock;

  /// Of rank 0; `listener` may be nothing in a group of one.
  Monitor(Coordinator coordinator, File listener, File wake, File failed,
          uint32_t size, std::chrono::milliseconds timeout);
  /// Of another rank.
  Monitor(Joined joined, File wake, File failed, uint32_t size,
          std::chrono::milliseconds timeout);
  ~Monitor();

  std::mutex mutex;
  /// Of the state below.
  std::condition_variable changed;

  // With the lock held:
  Member &state() { return member; }
  void send(const protocol::Message &message); // to rank 0
  /// Fails the group as far as this process knows it.
  void failHere(uint32_t rank, std::string message);
  /// Whether nothing is left to be sent, to anyone.
  bool allSent() const;
  /// Rank 0: whether every rank has come and heard.
  bool allCame() const { return coordinator && coordinator->allCame(); }

  // Without it:
  uint64_t listen(ProcessGroup::Listener listener);
  void unlisten(uint64_t id);
  /// Readable once the group has failed.
  int failedFile() const { return failed.get(); }
  /// Ends the thread and the connections.
  void stop();

private:
  using Id = Coordinator::Connection;

  void run();
  void wait(std::unique_lock<std::mutex> &lock);
  void acceptAll();
  void read(Id id);
  void deliver();
  void afterChange();
  void notify(std::unique_lock<std::mutex> &lock);
  void wakeUp();

  Member member;
  std::optional<Coordinator> coordinator; // rank 0
  File listener, wake, failed;
  Clock::time_point acceptAgain; // after the system had no descriptor left
  std::map<Id, Connection> connections;
  Id lastId = 0;
  std::chrono::milliseconds timeout;

  std::map<uint64_t, ProcessGroup::Listener> listeners;
  uint64_t lastListener = 0, runningListener = 0;
  bool notified = false;
  bool stopping = false;
  std::thread thread;
};

} // namespace tpcrt

#endif // TPCRT_PROCESSES_MONITOR_H
