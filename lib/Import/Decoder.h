//===- Decoder.h - Graphs of decoder models ---------------------*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_DECODER_H
#define TPC_LIB_IMPORT_DECODER_H

#include "Families.h"
#include "GraphBuilder.h"
#include "ModelConfig.h"
#include "Rope.h"
#include "tpc/Import/HuggingFace.h"

namespace tpc {

/// What the graph needs of a configuration.
struct DecoderConfig {
  int64_t hidden, layers, kvHeads, group, headDim, intermediate, vocabulary;
  double epsilon;
  bool tied;
  struct {
    bool queryKeyValue, attentionOutput, mlp;
  } biases;
  /// Keys that each layer sees, itself included; 0: all before it.
  std::vector<int64_t> windows;
  RopeFrequencies rope;
  /// Of a mixture of experts: how many there are, how many a token chooses,
  /// their width, whether the scores of the chosen ones sum to 1.
  struct {
    int64_t count = 0, chosen = 0, width = 0;
    bool normalized = false;
  } experts;
  /// Whether each layer has experts.
  std::vector<bool> sparse;
};

/// Reads and checks it for sequences of up to `context` tokens; emits an error
/// for values that are not supported.
mlir::FailureOr<DecoderConfig> readDecoderConfig(const ModelConfig &config,
                                                 const DecoderFamily &family,
                                                 int64_t context);

/// Builds the entries `prefill` and `decode`, or the one of them that the
/// options name, into the module of `graph`. Emits an error when the options do
/// not fit the model.
mlir::LogicalResult buildDecoder(GraphBuilder &graph,
                                 const DecoderFamily &family,
                                 const DecoderConfig &config,
                                 const ImportOptions &options);

} // namespace tpc

#endif // TPC_LIB_IMPORT_DECODER_H
