//===- Encoder.h - Graphs of encoder models ---------------------*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_ENCODER_H
#define TPC_LIB_IMPORT_ENCODER_H

#include "Families.h"
#include "GraphBuilder.h"
#include "ModelConfig.h"
#include "tpc/Import/HuggingFace.h"

namespace tpc {

/// What the graph needs of a configuration.
struct EncoderConfig {
  int64_t hidden, layers, heads, intermediate, vocabulary, positions, types;
  int64_t padToken;
  double epsilon;
  std::string activation;
};

/// Reads and checks it; emits an error for values that are not supported.
mlir::FailureOr<EncoderConfig> readEncoderConfig(const ModelConfig &config);

/// Builds `main` into the module of `graph`. Emits an error when the inputs do
/// not fit the model.
mlir::LogicalResult buildEncoder(GraphBuilder &graph,
                                 const EncoderFamily &family,
                                 const Architecture &architecture,
                                 const EncoderConfig &config,
                                 const ImportOptions &options);

} // namespace tpc

#endif // TPC_LIB_IMPORT_ENCODER_H
