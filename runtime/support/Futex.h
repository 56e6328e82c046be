// Sleeping on a word in memory that threads or processes share.
#ifndef TPCRT_SUPPORT_FUTEX_H
#define TPCRT_SUPPORT_FUTEX_H

#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tpcrt {

/// Returns when `word` is woken, differs from `seen`, at `deadline`, or for no
/// reason.
inline void futexWait(std::atomic<uint32_t> &word, uint32_t seen,
                      std::chrono::steady_clock::time_point deadline) {
  using namespace std::chrono;
  // Cut to a day, so that far deadlines fit.
  auto left = std::min<nanoseconds>(deadline - steady_clock::now(), hours(24));
  if (left <= nanoseconds::zero())
    return;
  timespec limit{left.count() / 1'000'000'000, left.count() % 1'000'000'000};
  ::syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAIT, seen,
            &limit, nullptr, 0);
}

inline void futexWakeAll(std::atomic<uint32_t> &word) {
  ::syscall(SYS_futex, reinterpret_cast<uint32_t *>(&word), FUTEX_WAKE, INT_MAX,
            nullptr, nullptr, 0);
}

} // namespace tpcrt

#endif // TPCRT_SUPPORT_FUTEX_H
