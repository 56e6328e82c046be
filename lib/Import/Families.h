//===- Families.h - Families of encoders as rows of data --------*- C++ -*-===//

#ifndef TPC_LIB_IMPORT_FAMILIES_H
#define TPC_LIB_IMPORT_FAMILIES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

namespace tpc {

/// How positions are numbered.
enum class Positions {
  FromZero,          ///< 0, 1, 2, ...
  CountTokensPastPad ///< tokens that are not padding, from pad_token_id + 1
};

/// Names of stored tensors are without ".weight" and ".bias"; "{}" stands for
/// the layer.
struct EncoderFamily {
  llvm::StringRef modelType;
  Positions positions;

  llvm::StringRef wordEmbedding, positionEmbedding, typeEmbedding,
      embeddingNorm;
  llvm::StringRef query, key, value, attentionOutput, attentionNorm;
  llvm::StringRef up, down, mlpNorm;
  llvm::StringRef pooler;
  /// Language-model head: dense, activation, norm, then the word embeddings
  /// transposed plus `headBias` (a full tensor name).
  llvm::StringRef headDense, headNorm, headBias;
};

/// What an architecture puts on top of a family's layers.
enum class Head { None, MaskedLanguageModel };

/// A class name in config.json, of an encoder.
struct Architecture {
  llvm::StringRef name;
  llvm::StringRef modelType;
  /// Before the names of the family's tensors in the files (not the head's).
  llvm::StringRef prefix;
  Head head;
  /// Whether the pooler's output is a result.
  bool pooled;
};

llvm::ArrayRef<EncoderFamily> encoderFamilies();
llvm::ArrayRef<Architecture> architectures();

} // namespace tpc

#endif // TPC_LIB_IMPORT_FAMILIES_H
