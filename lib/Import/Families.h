//===- Families.h - Families of models as rows of data ----------*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_FAMILIES_H
#define TPC_LIB_IMPORT_FAMILIES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace tpc {

/// Which layers look at a window of the last keys only.
enum class Windows {
  None,
  All,   ///< every layer, unless `sliding_window` is null
  Given, ///< every layer, if there is a `sliding_window`
  Used,  ///< every layer, if `use_sliding_window` is set
  Listed ///< if `use_sliding_window` is set: those that `layer_types` lists, or
         ///< the layers from `max_window_layers` on
};

/// Whether projections have biases.
enum class Biases {
  None,
  QueryKeyValue, ///< on these, not on the output of attention
  FromConfig     ///< of attention by `attention_bias`, of the MLP by `mlp_bias`
};

/// Where a mixture of experts stands in a decoder, and under which names. Names
/// of experts' tensors have a second "{}" for the expert.
struct ExpertNames {
  llvm::StringRef router, gate, up, down;
  /// The key of the configuration that says how wide an expert is.
  llvm::StringRef width;
  /// Whether the scores of the chosen ones always sum to 1, or only where
  /// `norm_topk_prob` says so.
  bool normalized;
};

/// Decoders with RMS norms before attention and MLP, rotary positions and a
/// gated MLP. Names of stored tensors are without ".weight" and ".bias"; "{}"
/// stands for the layer.
struct DecoderFamily {
  llvm::StringRef modelType;
  Biases attentionBiases, mlpBiases;
  Windows windows;

  llvm::StringRef wordEmbedding, finalNorm, head;
  llvm::StringRef attention, attentionNorm, query, key, value, attentionOutput;
  llvm::StringRef mlpNorm, gate, up, down;
  /// Norms of each head's query and key before rotation; empty: none.
  llvm::StringRef queryNorm = {}, keyNorm = {};
  /// Null: no layer has experts.
  const ExpertNames *experts = nullptr;
};

/// A class name in config.json.
struct Architecture {
  llvm::StringRef name;
  llvm::StringRef modelType;
};

llvm::ArrayRef<DecoderFamily> decoderFamilies();
llvm::ArrayRef<Architecture> architectures();

} // namespace tpc

#endif // TPC_LIB_IMPORT_FAMILIES_H
