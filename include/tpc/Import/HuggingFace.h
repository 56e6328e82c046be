//===- HuggingFace.h - Models from Hugging Face directories -----*- C++ -*-===//
//
// A model directory has a config.json and, if it is to be run, weights in
// safetensors files. The importer builds a module in the whole form: entry
// functions on whole tensors, parameters as views of the stored tensors.
//
// Encoders have the entry `main`. Decoders have two, which share parameters and
// the states of the KV cache: each layer's keys and values, [batch, context,
// kv_heads, head_dim], or with latent attention one state of latents.
//
//   prefill(input_ids [b, s], lengths [b])   fills the cache from its beginning
//   decode(input_ids [b, 1], positions [b])  adds one token to each row
//
// In prefill, row i has lengths[i] tokens and then anything; in decode,
// positions[i] tokens are in the cache of row i before. Both give `logits` of
// each row's last token, [b, vocabulary].
//
// Encoder-decoders have `main`, which gives the logits of all of
// decoder_input_ids [b, t], and where text is generated the two above, of which
// prefill takes the encoder's inputs and decoder_input_ids, and keeps what
// decode needs of the encoder's output.
//
// With a head of logits, each has on demand, as the only entry,
//
//   step(the inputs of all tokens, labels)
//
// which gives `loss`, the mean cross entropy over the labels that are tokens or
// classes (-100 does not count), and for each parameter NAME `grad.NAME`. As in
// transformers, the labels of a decoder are its input_ids: the importer moves
// them by one. Labels of a head of positions are start_positions and
// end_positions [b].
//
// A family of models is a row of data (...Families.cpp), not a class.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_IMPORT_HUGGINGFACE_H
#define TPC_IMPORT_HUGGINGFACE_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringSet.h"
#include <optional>
#include <string>

namespace tpcrt {
class WeightSource;
}

namespace tpc {

/// Which tokens prefill gives logits for.
enum class LogitsOf {
  LastToken, ///< [batch, vocabulary]: what generating text needs
  AllTokens  ///< [batch, length, vocabulary]
};

struct ImportOptions {
  /// Shape [batch, length] of the token inputs.
  int64_t batch = 1;
  int64_t length = 128;
  /// Length of the decoder's tokens in an encoder-decoder.
  int64_t decoderLength = 1;
  /// Optional inputs to leave out of the entries, by name: `attention_mask` and
  /// `decoder_attention_mask` (then every token counts), `token_type_ids` (then
  /// all are 0) and `lengths` (then every row is full).
  llvm::StringSet<> without;
  /// The element type of parameters and activations: "f32", "bf16", "f16", or
  /// "stored" for the configuration's. Stored tensors are converted to it.
  std::string element = "f32";
  /// Build only this entry; empty: all of the model's but step.
  std::string entry;
  /// How many tokens are generated after the prompt. An encoder-decoder then
  /// has prefill and decode instead of main.
  int64_t generated = 0;
  /// How many tokens the KV cache holds per row; default: what the prompt and
  /// the generated tokens need.
  std::optional<int64_t> context;
  LogitsOf logits = LogitsOf::LastToken;
  /// Weights to check the configuration against; null: not checked.
  const tpcrt::WeightSource *weights = nullptr;
};

/// Whether `path` is a directory with a config.json.
bool isHuggingFaceDirectory(llvm::StringRef path);

/// Builds the module of the model in `directory`, without a mesh. Errors are
/// emitted at a location in config.json: an unknown architecture, a
/// configuration value that is missing, malformed or not supported, a stored
/// tensor that is missing or has another shape.
mlir::OwningOpRef<mlir::ModuleOp>
importHuggingFace(mlir::MLIRContext *context, llvm::StringRef directory,
                  const ImportOptions &options);

} // namespace tpc

#endif // TPC_IMPORT_HUGGINGFACE_H
