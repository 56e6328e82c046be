#include "executor/WorkerPool.h"

#include "device/cpu/CpuInfo.h"
#include "support/Spin.h"

#include <algorithm>

using namespace tpcrt;

namespace {

/// Waits awake for a while, then asleep. There are at most as many workers as
/// cores, so spinning takes nothing from a device.
template <class Done>
void waitUntil(std::mutex &mutex, std::condition_variable &condition,
               Done done) {
  if (spinUntil(done))
    return;
  std::unique_lock lock(mutex);
  condition.wait(lock, done);
}

} // namespace

WorkerPool::WorkerPool(uint64_t devices, unsigned threadLimit) {
  unsigned cores = threadLimit ? threadLimit : coreCount();
  workerCount = std::clamp<uint64_t>(devices, 1, cores);
  teamSize = std::max(1u, cores / workerCount);
  for (unsigned worker = 1; worker < workerCount; ++worker)
    threads.emplace_back([this, worker] { workerLoop(worker); });
}

WorkerPool::~WorkerPool() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
    ++round;
  }
  started.notify_all();
  for (std::thread &thread : threads)
    thread.join();
}

void WorkerPool::run(const Job &newJob) {
  if (workerCount > 1) {
    std::lock_guard lock(mutex);
    job = &newJob;
    unfinished = workerCount - 1;
    ++round;
  }
  started.notify_all();
  {
    ThreadTeam team(teamSize);
    newJob(0, team);
  }
  if (workerCount > 1)
    waitUntil(mutex, ended, [&] { return unfinished == 0; });
}

void WorkerPool::workerLoop(unsigned worker) {
  ThreadTeam team(teamSize);
  for (uint64_t seen = 0;; ++seen) {
    waitUntil(mutex, started, [&] { return round != seen; });
    const Job *current;
    {
      std::lock_guard lock(mutex);
      if (stopping)
        return;
      current = job;
    }
    (*current)(worker, team);
    if (--unfinished == 0) {
      std::lock_guard lock(mutex);
      ended.notify_one();
    }
  }
}
