//===- DecoderFamily.h - Families of decoders as rows of data ---*- C++ -*-===//
//
// Decoders differ in names, in what surrounds a layer's two parts, and in
// options of these parts:
//
//   x = embedding(tokens) (* scale) (+ position embedding)
//   layer:  x = x + attention(norm(x))        or, in parallel,
//           x = x + mlp(norm(x))              x = x + attention(..) + mlp(..)
//   logits = norm(x) times the table
//
// A row says which. Most of a row is the default, which is Llama. What a
// configuration may switch is given as a key of config.json with the value
// that holds where the key is absent. What only one family has is read by its
// `adjust` (DecoderVariants.cpp), which changes the row and the numbers
// (DecoderConfig.h). A new family is a function in LlamaRows.cpp or GptRows.cpp
// and its name in DecoderRows.h and DecoderFamilies.cpp.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_IMPORT_DECODERFAMILY_H
#define TPC_LIB_IMPORT_DECODERFAMILY_H

#include "mlir/Support/LLVM.h"
#include "tpc/Dialect/Tpc/Tpc.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace tpc {

class ModelConfig;
struct DecoderConfig;

/// A value of config.json: what stands under `key`; `otherwise` where that is
/// absent or null; without a key always `otherwise`.
struct Flag {
  llvm::StringRef key;
  bool otherwise = false;
};
struct Number {
  llvm::StringRef key;
  double otherwise = 0;
};

enum class NormKind {
  Rms,
  RmsPlusOne, ///< times 1 + weight
  Layer
};

struct NormStyle {
  NormKind kind = NormKind::Rms;
  bool weight = true, bias = false;
};

/// Which layers look at a window of the last keys only.
struct WindowStyle {
  enum Layers {
    None,
    All,
    /// Those that `layer_types` lists; without it the ones named below.
    AllOrListed,    ///< all; if listed, whatever the switch says
    EveryOther,     ///< 0, 2, 4, ...
    AllButEachNth,  ///< but every `sliding_window_pattern`-th is full
    FromMaxLayer,   ///< from `max_window_layers` on
    EveryOtherBelow ///< 0, 2, 4, ... below `max_window_layers`
  } layers = None;
  /// Where `sliding_window` is absent; 0: no window. Null is no window.
  int64_t otherwise = 0;
  /// Only with `use_sliding_window`.
  bool switched = false;
};

/// How positions turn queries and keys. Keys as in Flag; the names of
/// rope_parameters are those of transformers.
struct RopeStyle {
  bool used = true;
  RopeForm form = RopeForm::Halves;
  double theta = 10000;
  /// Outside of rope_parameters.
  llvm::StringRef thetaKey = "rope_theta";
  /// Which part of each head turns; without a key the whole head does.
  Number partial = {"", 1};
  /// Where `original_max_position_embeddings` is absent; 0: what
  /// rope_parameters say.
  int64_t originalPositions = 0;
};

/// How the matrices of query, key and value are stored.
enum class Fusion {
  None,  ///< each in its own tensor
  Rows,  ///< all queries, then all keys, then all values
  Groups ///< for each key head: its queries, the key, the value
};

/// Norms of queries and keys before rotation.
enum class HeadNorm {
  None,
  Shared,   ///< one weight [d] for all heads
  EachHead, ///< each head has its own: [heads, d]
  Stacked,  ///< the same, in a tensor for each head
  Whole     ///< over all heads together
};

/// A mixture of experts: which choose, and how they are stored. Names of
/// experts' tensors have a second "{}" for the expert; without it, one tensor
/// holds all.
struct ExpertFamily {
  enum Scores {
    Softmax,         ///< the largest of a softmax over all
    SoftmaxOfChosen, ///< a softmax over the largest logits
    Sigmoid          ///< sigmoids; a bias and groups may change who is chosen
  } scores = Softmax;
  /// Whether the scores of the chosen ones are divided by their sum.
  Flag normalized;
  /// Keys: how many there are, how wide one is.
  llvm::StringRef countKeys, widthKey;
  llvm::StringRef router;
  bool routerBias = false;
  /// Added to the scores for choosing only; empty: none.
  llvm::StringRef choiceBias = {};
  llvm::StringRef gate, up, down;
  /// All experts' matrices [count, in, out] in one tensor, gate and up
  /// interleaved, each with a bias, and a clamped gate: GPT-OSS.
  bool stacked = false;
  /// An MLP that every token passes; empty: none. `sharedSwitch`, if not
  /// empty, is a projection to one number whose sigmoid scales it.
  llvm::StringRef sharedGate = {}, sharedUp = {}, sharedDown = {},
                  sharedSwitch = {};
};

/// Names of stored tensors are without ".weight" and ".bias"; "{}" stands for
/// the layer. An empty name: the family has no such tensor.
struct DecoderFamily {
  llvm::StringRef architecture;

  // Configuration ------------------------------------------------------------
  /// "a|b" is a, or b where that is not there.
  struct {
    llvm::StringRef hidden = "hidden_size", layers = "num_hidden_layers",
                    heads = "num_attention_heads";
    /// Empty: as many as heads.
    llvm::StringRef kvHeads = "num_key_value_heads";
    /// Empty: hidden / heads.
    llvm::StringRef headDim = "head_dim";
    /// Empty: always four times hidden.
    llvm::StringRef intermediate = "intermediate_size";
    llvm::StringRef activation = "hidden_act", epsilon = "rms_norm_eps";
    /// Empty: not read.
    llvm::StringRef positions = "max_position_embeddings";
  } keys;
  /// Where they are absent; 0: heads, hidden / heads, an error. Null means
  /// heads, hidden / heads, four times hidden.
  int64_t kvHeads = 0, headDim = 0, positions = 0;
  bool fourfold = false;
  llvm::StringRef activation = "silu";
  double epsilon = 1e-6;
  Flag tied = {"tie_word_embeddings", false};
  /// Keys that transformers does not read for this family.
  llvm::ArrayRef<llvm::StringRef> ignored = {};
  /// Keys, and the only value that is supported, as JSON.
  llvm::ArrayRef<std::pair<llvm::StringRef, llvm::StringRef>> expected = {};
  /// Reads what only this family has.
  mlir::LogicalResult (*adjust)(const ModelConfig &, DecoderConfig &) = nullptr;

  // Around the layers --------------------------------------------------------
  llvm::StringRef wordEmbedding = "model.embed_tokens";
  llvm::StringRef embeddingNorm = {}, projectIn = {}, projectOut = {};
  /// A learned embedding of positions, from row `positionOffset` on.
  llvm::StringRef positionEmbedding = {};
  int64_t positionOffset = 0;
  llvm::StringRef finalNorm = "model.norm", head = "lm_head";
  bool headBias = false;

  // Around a layer's parts ---------------------------------------------------
  NormStyle norm;
  Flag parallel = {"", false};
  /// Before attention and MLP; with an empty `mlpNorm` a parallel MLP shares
  /// attention's.
  llvm::StringRef attentionNorm = "model.layers.{}.input_layernorm",
                  mlpNorm = "model.layers.{}.post_attention_layernorm";
  /// Of what attention and MLP give, before it is added.
  llvm::StringRef attentionOutputNorm = {}, mlpOutputNorm = {};
  /// attentionNorm and mlpNorm stand after the sums instead.
  bool normAfterSum = false;
  /// What is added to is the normed value.
  Flag residualFromNorm = {"", false};

  // Attention ----------------------------------------------------------------
  Flag queryKeyValueBias = {"attention_bias", false};
  Flag attentionOutputBias = {"attention_bias", false};
  WindowStyle windows;
  RopeStyle rope;
  Fusion fusion = Fusion::None;
  llvm::StringRef attention = "model.layers.{}.self_attn";
  llvm::StringRef query = "model.layers.{}.self_attn.q_proj",
                  key = "model.layers.{}.self_attn.k_proj",
                  value = "model.layers.{}.self_attn.v_proj",
                  attentionOutput = "model.layers.{}.self_attn.o_proj";
  /// All three in one, if fused.
  llvm::StringRef queryKeyValue = {};
  HeadNorm headNorm = HeadNorm::None;
  NormStyle headNormStyle;
  llvm::StringRef queryNorm = "model.layers.{}.self_attn.q_norm",
                  keyNorm = "model.layers.{}.self_attn.k_norm";
  /// One logit for each head that takes part in the softmax: a full name.
  llvm::StringRef sinks = {};
  /// Keys and values from a latent vector, DeepSeek's (DecoderAttention.cpp);
  /// these are the names.
  struct Latent {
    llvm::StringRef queryDown, queryDownNorm, queryUp;
    llvm::StringRef down, downNorm, up;
  };
  const Latent *latent = nullptr;

  // MLP ----------------------------------------------------------------------
  Flag mlpBias = {"", false};
  /// An empty `gate` and `gateUp`: not gated.
  llvm::StringRef gate = "model.layers.{}.mlp.gate_proj",
                  up = "model.layers.{}.mlp.up_proj",
                  down = "model.layers.{}.mlp.down_proj";
  /// Gate and up in one: all of the gate's rows, then all of the other's.
  llvm::StringRef gateUp = {};
  const ExpertFamily *experts = nullptr;

  /// Matrices of layers are stored [in, out] instead of [out, in].
  bool transposed = false;
};

llvm::ArrayRef<DecoderFamily> decoderFamilies();

} // namespace tpc

#endif // TPC_LIB_IMPORT_DECODERFAMILY_H
