// Waiting awake for what usually comes soon.
#ifndef TPCRT_SUPPORT_SPIN_H
#define TPCRT_SUPPORT_SPIN_H

#include <immintrin.h>
#include <thread>

namespace tpcrt {

/// Waits for `done` for some 20 to 100 microseconds; whether it came. Where
/// other processes are busy too, the thread that is waited for may stand in
/// line behind this one: so it yields now and then.
template <class Done> bool spinUntil(Done done) {
  constexpr int spins = 2000, yieldEvery = 64;
  for (int i = 1; i <= spins; ++i) {
    if (done())
      return true;
    if (i % yieldEvery == 0)
      std::this_thread::yield();
    else
      _mm_pause();
  }
  return done();
}

} // namespace tpcrt

#endif // TPCRT_SUPPORT_SPIN_H
