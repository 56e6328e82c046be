// Several threads for one device, when there are more cores than devices.
//
// oneDNN runs on GNU OpenMP and keeps a team of threads per calling thread.
// Kernels run on the same team: a second pool would compete with it for the
// cores, since both spin for a while before they sleep.
#ifndef TPCRT_DEVICE_CPU_THREADTEAM_H
#define TPCRT_DEVICE_CPU_THREADTEAM_H

#include <cstdint>

namespace tpcrt {

/// While it lives, OpenMP regions started by this thread (by oneDNN and by
/// ThreadTeam) use `threads` threads.
class ThreadTeam {
public:
  explicit ThreadTeam(unsigned threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam &) = delete;
  ThreadTeam &operator=(const ThreadTeam &) = delete;

  /// Calls fn(begin, end) on all of [0, count), in one range per thread.
  template <class Fn> void parallelFor(int64_t count, const Fn &fn) const {
    if (threads <= 1 || count <= 1)
      return fn(int64_t(0), count);
    Region region{&fn, count, [](const void *f, int64_t begin, int64_t end) {
                    (*static_cast<const Fn *>(f))(begin, end);
                  }};
    runRegion(region);
  }

private:
  struct Region {
    const void *fn;
    int64_t count;
    void (*call)(const void *fn, int64_t begin, int64_t end);
  };
  void runRegion(Region &region) const;

  unsigned threads;
  int saved;
};

} // namespace tpcrt

#endif // TPCRT_DEVICE_CPU_THREADTEAM_H
