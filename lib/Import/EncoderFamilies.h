//===- EncoderFamilies.h - Families of encoders as rows of data -*- C++ -*-===//
//
// Names of stored tensors are without ".weight" and ".bias"; "{}" stands for
// the layer.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_IMPORT_ENCODERFAMILIES_H
#define TPC_LIB_IMPORT_ENCODERFAMILIES_H

#include "LayerStack.h"

namespace tpc {

/// How positions are numbered.
enum class Positions {
  FromZero,          ///< 0, 1, 2, ...
  CountTokensPastPad ///< tokens that are not padding, from pad_token_id + 1
};

/// norm(word + position + type), then a projection to the layers' width where
/// the configuration's `width` differs from it.
struct TokenEmbedding {
  Positions positions;
  llvm::StringRef word, position, norm;
  /// Empty: there are no types.
  llvm::StringRef type = {};
  llvm::StringRef width = {}, projection = {};
};

/// Patches of an image times a matrix, after a token for the whole, plus
/// positions. `classToken` and `position` are full names.
struct PatchEmbedding {
  llvm::StringRef projection, classToken, position;
};

struct EncoderFamily {
  LayerKeys keys;
  /// The key that says whether query, key and value have biases; empty: they
  /// do.
  llvm::StringRef queryKeyValueBias;
  LayerForm layers;
  /// One of them.
  const TokenEmbedding *tokens;
  const PatchEmbedding *patches;
  /// Empty: none.
  llvm::StringRef finalNorm;
  /// Keys that change nothing of what is computed.
  llvm::ArrayRef<llvm::StringRef> ignoredKeys = {};
};

/// The rows of a head's last projection.
enum class HeadRows {
  None,   ///< there is none
  Words,  ///< one for each word: the word embeddings, if they are tied
  Labels, ///< one for each label of the configuration
  Two,
  FirstOfTwo,  ///< two, of which the first is the output
  SecondOfTwo, ///< two, of which the second is the output
  One          ///< one, without a dimension of its own
};

/// What is computed of the last layer's output x [b, s, e]:
///   norm(act(x dense)) projection, each if there is one.
struct Head {
  /// As transformers names it.
  llvm::StringRef output;
  /// Of the first token only: [b, e].
  bool first = false;
  llvm::StringRef dense = {};
  /// A name of an activation; empty: the configuration's. Where `activationKey`
  /// is in the configuration, that one.
  llvm::StringRef activation = {}, activationKey = {};
  /// The key of the dense part's width; empty, or not there: that of the
  /// layers.
  llvm::StringRef denseWidth = {};
  llvm::StringRef norm = {};
  HeadRows rows = HeadRows::None;
  llvm::StringRef projection = {};
  /// A full name of a bias that is shared where the words are; empty:
  /// PROJECTION.bias.
  llvm::StringRef sharedBias = {};
};

/// A class name in config.json.
struct EncoderArchitecture {
  llvm::StringRef name;
  const EncoderFamily *family;
  /// Before the names of the family's tensors in the files (not the heads').
  llvm::StringRef prefix;
  llvm::ArrayRef<Head> heads;
};

llvm::ArrayRef<EncoderArchitecture> encoderArchitectures();

} // namespace tpc

#endif // TPC_LIB_IMPORT_ENCODERFAMILIES_H
