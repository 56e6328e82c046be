//===- DecoderConfig.h - The numbers of a decoder ---------------*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_DECODERCONFIG_H
#define TPC_LIB_IMPORT_DECODERCONFIG_H

#include "Activation.h"
#include "DecoderFamily.h"
#include "ModelConfig.h"
#include "Rope.h"
#include <vector>

namespace tpc {

/// What the graph needs of a configuration.
struct DecoderConfig {
  /// The row, as the configuration changes it.
  DecoderFamily family;

  int64_t hidden, layers, heads, kvHeads, group, headDim, intermediate,
      vocabulary;
  /// Of the word embeddings, where it is not `hidden`.
  int64_t embeddingWidth;
  /// Rows of learned positions that may be used.
  int64_t positions;
  double epsilon;
  Activation activation;
  bool tied, parallel, residualFromNorm;
  struct {
    bool queryKeyValue, attentionOutput, mlp;
  } biases;

  /// Factors of embeddings, of what attention and MLP add, and of logits.
  double embeddingScale = 1, residualScale = 1, logitScale = 1;
  /// c tanh(logits / c); 0: not.
  double logitSoftcap = 0;

  // Attention ----------------------------------------------------------------
  /// Of scores, for each layer.
  std::vector<double> scales;
  double softcap = 0;
  /// Queries, keys and values are clamped to [-clip, clip]; 0: not.
  double clip = 0;
  /// Keys that each layer sees, itself included; 0: all before it.
  std::vector<int64_t> windows;
  /// The rotary tables, and which of them a layer uses; -1: none.
  std::vector<RopeFrequencies> ropes;
  std::vector<int> ropeOfLayer;
  /// ALiBi: scores get slope * position of the key, one slope for each head
  /// (Press et al., arXiv:2108.12409). Empty: not.
  struct {
    std::vector<double> slopes;
    /// Slopes, positions and their products are rounded to bf16.
    bool inBf16 = false;
    double scale = 1;
  } alibi;
  /// Sizes of latent attention; `query` 0: queries have no latent.
  struct {
    int64_t query = 0, keyValue = 0, still = 0, turned = 0, value = 0;
  } latent;

  // Experts ------------------------------------------------------------------
  struct {
    int64_t count = 0, chosen = 0, width = 0, sharedWidth = 0;
    bool normalized = false;
    /// Experts are chosen from the best `chosenGroups` of `groups` groups.
    int64_t groups = 1, chosenGroups = 1;
    double scale = 1;
    /// GPT-OSS's: gate * sigmoid(alpha gate), both clamped at `limit`.
    double alpha = 0, limit = 0;
  } experts;
  /// Whether each layer has experts.
  std::vector<bool> sparse;
};

/// Reads and checks it; emits an error for values that are not supported.
mlir::FailureOr<DecoderConfig> readDecoderConfig(const ModelConfig &config,
                                                 const DecoderFamily &family);

} // namespace tpc

#endif // TPC_LIB_IMPORT_DECODERCONFIG_H
