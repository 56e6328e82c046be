//===- Encoder.h - Graphs of encoder models ---------------------*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_ENCODER_H
#define TPC_LIB_IMPORT_ENCODER_H

#include "EncoderFamilies.h"
#include "tpc/Import/HuggingFace.h"
#include <array>

namespace tpc {

/// What the graph needs of a configuration.
struct EncoderConfig {
  LayerSizes layers;
  /// Of families with tokens.
  int64_t vocabulary = 0, positions = 0, types = 0, padToken = 0;
  /// The width of the embeddings; that of the layers where they have no other.
  int64_t embedding = 0;
  /// Of families with images: [height, width].
  int64_t channels = 0;
  std::array<int64_t, 2> image = {}, patch = {};
  int64_t labels = 0;
  bool tied = true;
  /// Of the dense part of each head.
  struct HeadDense {
    Activation activation = Activation::Linear;
    int64_t width = 0;
  };
  std::vector<HeadDense> heads;
};

/// Reads and checks it; emits an error for values that are not supported.
mlir::FailureOr<EncoderConfig>
readEncoderConfig(const ModelConfig &config,
                  const EncoderArchitecture &architecture);

/// Builds `main`, or the loss of `step` if the options name it, into the module
/// of `graph`. Emits an error when the inputs do not fit the model.
mlir::LogicalResult buildEncoder(GraphBuilder &graph,
                                 const EncoderArchitecture &architecture,
                                 const EncoderConfig &config,
                                 const ImportOptions &options);

} // namespace tpc

#endif // TPC_LIB_IMPORT_ENCODER_H
