#include "device/cpu/ThreadTeam.h"

#include <algorithm>

using namespace tpcrt;

// libgomp's interface: the functions of <omp.h>, and what GCC compiles a
// parallel region into. Clang would compile a pragma for LLVM's own OpenMP
// library, which would be a second one in the process.
extern "C" {
void GOMP_parallel(void (*fn)(void *), void *data, unsigned numThreads,
                   unsigned flags);
int omp_get_thread_num(void);
int omp_get_num_threads(void);
int omp_get_max_threads(void);
void omp_set_num_threads(int threads);
}

ThreadTeam::ThreadTeam(unsigned threads)
    : threads(threads), saved(omp_get_max_threads()) {
  omp_set_num_threads(threads);
}

ThreadTeam::~ThreadTeam() { omp_set_num_threads(saved); }

void ThreadTeam::runRegion(Region &region) const {
  auto body = [](void *data) {
    auto *region = static_cast<Region *>(data);
    int64_t team = omp_get_num_threads(), self = omp_get_thread_num();
    int64_t size = region->count / team, extra = region->count % team;
    int64_t begin = self * size + std::min(self, extra);
    int64_t end = begin + size + (self < extra);
    if (begin < end)
      region->call(region->fn, begin, end);
  };
  GOMP_parallel(body, &region,
                static_cast<unsigned>(std::min<int64_t>(threads, region.count)),
                0);
}
