//===- Rope.h - Frequencies of rotary positions -----------------*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_ROPE_H
#define TPC_LIB_IMPORT_ROPE_H

#include "ModelConfig.h"
#include <limits>

namespace tpc {

/// What `tpc.rope` needs: by which angle each pair turns per position, and by
/// how much the turned elements are scaled. Two kinds depend on how many tokens
/// L the longest sequence of a call has.
struct RopeFrequencies {
  /// Up to `longest` tokens.
  std::vector<float> values;
  double scale = 1;
  int64_t longest = std::numeric_limits<int64_t>::max();
  /// Beyond, "longrope": these.
  std::vector<float> beyond;
  /// Beyond, "dynamic": values[i] * (1 + growth (L / longest - 1)) ^
  /// exponents[i].
  std::vector<float> exponents;
  double growth = 0;
};

/// Where a configuration has its rotary positions, and what holds where it
/// says nothing.
struct RopeSource {
  /// `rope_parameters`, or `rope_scaling` as before transformers 5.
  ModelConfig section;
  int64_t headDim;
  double theta, partial;
  /// Whether a part of each head may turn.
  bool partly;
  /// `max_position_embeddings`; 0: not there.
  int64_t positions;
  /// What stands outside of the section for the length before scaling, and
  /// goes first; 0: nothing.
  int64_t originalPositions;
};

/// The section of `config`: `rope_scaling` if it is there, else
/// `rope_parameters`.
mlir::FailureOr<ModelConfig> ropeSection(const ModelConfig &config);

/// Unscaled, for `turned` elements.
RopeFrequencies plainRope(double theta, int64_t turned);

/// Emits an error for a kind of scaling that is not known.
mlir::FailureOr<RopeFrequencies> readRope(const RopeSource &source);

} // namespace tpc

#endif // TPC_LIB_IMPORT_ROPE_H
