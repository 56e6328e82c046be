// The threads that run devices. Worker 0 is the thread that calls run, so that
// a single device needs no other thread.
#ifndef TPCRT_EXECUTOR_WORKERPOOL_H
#define TPCRT_EXECUTOR_WORKERPOOL_H

#include "device/cpu/ThreadTeam.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tpcrt {

class WorkerPool {
public:
  /// At most one worker per device and `threads` (0: one per core) in all; what
  /// is left over of the threads goes to the workers' teams.
  WorkerPool(uint64_t devices, unsigned threads);
  ~WorkerPool();

  unsigned workers() const { return workerCount; }
  unsigned threadsPerWorker() const { return teamSize; }

  using Job = std::function<void(unsigned worker, const ThreadTeam &team)>;
  /// Runs `job` on every worker and returns when all have returned.
  void run(const Job &job);

private:
  void workerLoop(unsigned worker);

  unsigned workerCount;
  unsigned teamSize;
  const Job *job = nullptr;
  std::atomic<uint64_t> round{0}; // of run
  std::atomic<unsigned> unfinished{0};
  bool stopping = false;
  std::mutex mutex;
  std::condition_variable started, ended;
  std::vector<std::thread> threads;
};

} // namespace tpcrt

#endif // TPCRT_EXECUTOR_WORKERPOOL_H
