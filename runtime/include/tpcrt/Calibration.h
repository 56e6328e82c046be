// What this machine reaches, measured with the runtime's own steps: the
// constants of the compiler's cost model for virtual devices.
#ifndef TPCRT_CALIBRATION_H
#define TPCRT_CALIBRATION_H

#include "tpcrt/Error.h"
#include "tpcrt/ProcessGroup.h"

#include <cstdint>

namespace tpcrt {

/// Rates are those of all cores together, times are microseconds.
struct Calibration {
  /// Operations per microsecond in matrix products with packed weights, beside
  /// reading the operands: a product takes flops / rate + bytes / memory.
  double flopsF64 = 0, flopsF32 = 0, flops16 = 0;
  /// Bytes per microsecond when a product of one row reads its weights.
  double memoryBytesPerMicro = 0;
  /// What a step takes besides its work.
  double stepMicros = 0;
  /// all_reduce over n devices of b bytes each:
  /// base + 2 (n - 1) (hop + b / collectiveBytesPerMicro).
  double collectiveBaseMicros = 0, collectiveHopMicros = 0;
  double collectiveBytesPerMicro = 0;
};

/// Microseconds of each of many all_reduces in one program, in place, over
/// `devices` virtual devices with `bytes` of f32 each; those of all processes of
/// `group`, which all call it.
Result<double> measureAllReduce(uint32_t devices, uint64_t bytes,
                                unsigned threads = 0,
                                std::shared_ptr<ProcessGroup> group = nullptr,
                                Transport transport = Transport::Auto);

/// Takes a few seconds. `threads` 0: one per core.
Result<Calibration> calibrate(unsigned threads = 0);

} // namespace tpcrt

#endif // TPCRT_CALIBRATION_H
