//===- Deadline.h - When to stop --------------------------------*- C++ -*-===//

#ifndef TPC_LIB_SHARDING_SOLVER_DEADLINE_H
#define TPC_LIB_SHARDING_SOLVER_DEADLINE_H

#include <chrono>

namespace tpc::solver {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;

inline Deadline after(double seconds) {
  return Clock::now() + std::chrono::duration_cast<Clock::duration>(
                            std::chrono::duration<double>(seconds));
}

inline double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

inline bool isOver(Deadline deadline) { return Clock::now() >= deadline; }

} // namespace tpc::solver

#endif // TPC_LIB_SHARDING_SOLVER_DEADLINE_H
