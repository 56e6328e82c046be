//===- Rope.h - Frequencies of rotary positions -----------------*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_ROPE_H
#define TPC_LIB_IMPORT_ROPE_H

#include "ModelConfig.h"

namespace tpc {

/// What `tpc.rope` needs: by which angle each pair turns per position, and by
/// how much the turned elements are scaled.
struct RopeFrequencies {
  std::vector<float> values;
  double scale = 1;
};

/// Reads the rotary positions of a configuration for heads of `headDim`
/// elements, of which `partial_rotary_factor` turn; `context` is the longest
/// sequence that the graph is for. Both spellings are understood:
/// `rope_parameters`, and `rope_theta` with `rope_scaling`. Emits an error for
/// a kind of scaling that is not known.
mlir::FailureOr<RopeFrequencies> readRope(const ModelConfig &config,
                                          int64_t headDim, int64_t context);

} // namespace tpc

#endif // TPC_LIB_IMPORT_ROPE_H
