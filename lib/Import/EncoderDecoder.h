//===- EncoderDecoder.h - Graphs of encoder-decoder models ------*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_ENCODERDECODER_H
#define TPC_LIB_IMPORT_ENCODERDECODER_H

#include "EncoderDecoderFamilies.h"
#include "RelativeBias.h"
#include "tpc/Import/HuggingFace.h"

namespace tpc {

/// What the graph needs of a configuration.
struct EncoderDecoderConfig {
  struct Stack {
    LayerSizes layers;
    /// Of learned positions.
    int64_t positions = 0;
    /// Of relative ones.
    DistanceBuckets buckets;
  };
  Stack encoder, decoder;
  int64_t vocabulary = 0;
  /// Of sound: how many numbers describe one moment.
  int64_t channels = 0;
  bool tied = true;
  /// What the decoder's output is multiplied by for the head.
  double outputScale = 1;
};

/// Reads and checks it; emits an error for values that are not supported.
mlir::FailureOr<EncoderDecoderConfig>
readEncoderDecoderConfig(const ModelConfig &config,
                         const EncoderDecoderFamily &family);

/// Builds `main`, or `prefill` and `decode`, or the one that the options name,
/// into the module of `graph`; the cache holds `context` tokens. Emits an error
/// when the options do not fit the model.
mlir::LogicalResult
buildEncoderDecoder(GraphBuilder &graph,
                    const EncoderDecoderArchitecture &architecture,
                    const EncoderDecoderConfig &config, int64_t context,
                    const ImportOptions &options);

} // namespace tpc

#endif // TPC_LIB_IMPORT_ENCODERDECODER_H
