// Faults on demand, to see what happens when a process fails.
//
//   kill:rank=1,op=17        SIGKILL when its 17th collective has started
//   stop:rank=0,at=load      SIGSTOP before weights are loaded
//   delay:rank=1,op=3,ms=500 sleeps
//   corrupt:rank=2,op=5      overwrites the first element of the result with
//                            ones: NaN in any floating-point type
//
// Places: at=start (before the processes meet), at=load, op=N (collectives of
// the process's first device, counted from 1 since the executable was loaded),
// run=N (before the Nth run of a program), at=exit.
#ifndef TPCRT_FAULT_H
#define TPCRT_FAULT_H

#include "tpcrt/Error.h"

#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tpcrt {

struct Fault {
  enum class Kind : uint8_t { Kill, Stop, Delay, Corrupt };
  enum class Place : uint8_t { Start, Load, Op, Run, Exit };

  Kind kind = Kind::Kill;
  uint32_t rank = 0;
  Place place = Place::Start;
  uint64_t number = 0; // of Op and Run
  std::chrono::milliseconds delay{0};
};

/// An error says what was expected.
Result<Fault> parseFault(std::string_view text);

/// Carries out those faults that belong to this place of process `rank`.
/// Whether there is a result to corrupt.
bool injectFaults(const std::vector<Fault> &faults, uint32_t rank,
                  Fault::Place place, uint64_t number = 0);

} // namespace tpcrt

#endif // TPCRT_FAULT_H
