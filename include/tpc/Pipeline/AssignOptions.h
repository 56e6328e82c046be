//===- AssignOptions.h - How shardings are decided --------------*- C++ -*-===//

#ifndef TPC_PIPELINE_ASSIGNOPTIONS_H
#define TPC_PIPELINE_ASSIGNOPTIONS_H

#include "tpc/Sharding/PlanText.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tpc {

struct AssignPhaseOptions {
  std::string mode = "auto";
  /// Followed in place of a mode.
  std::optional<PlanText> plan;
  /// A built-in machine or a file; empty: what the module says.
  std::string machine;
  /// Bytes on one device; nothing: what the machine has.
  std::optional<int64_t> memoryLimit;
  /// Bytes per element of a parameter with a gradient that an optimizer keeps.
  int64_t optimizerBytes = 0;
  /// "prefill=1,decode=100"; empty: all entries alike.
  std::string weights;
  /// Pins beside those in the module: tpc/Sharding/Pins.h.
  std::vector<std::string> pins;
  /// Seconds.
  double timeLimit = 20;
};

} // namespace tpc

#endif // TPC_PIPELINE_ASSIGNOPTIONS_H
