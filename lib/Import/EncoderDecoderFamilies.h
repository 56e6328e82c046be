//===- EncoderDecoderFamilies.h - Families as rows of data ------*- C++ -*-===//
//
// Encoder-decoders: an encoder of tokens or sound, and a decoder whose layers
// also attend to the encoder's output.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_IMPORT_ENCODERDECODERFAMILIES_H
#define TPC_LIB_IMPORT_ENCODERDECODERFAMILIES_H

#include "LayerStack.h"

namespace tpc {

/// The encoder or the decoder. Names as in LayerForm.
struct StackFamily {
  LayerKeys keys;
  LayerForm layers;
  llvm::StringRef finalNorm;
  /// The table of words; empty: the input is sound.
  llvm::StringRef words;
  /// A learned position for each of so many tokens; empty: none.
  llvm::StringRef positions = {}, positionCount = {};
  /// A bias for each head and distance (RelativeBias.h); empty: none.
  llvm::StringRef relativeBias = {};
};

/// Two convolutions over time, of three steps each; the second moves by two.
struct SoundEmbedding {
  llvm::StringRef first, second;
};

struct EncoderDecoderFamily {
  StackFamily encoder, decoder;
  /// Null: the encoder's input are tokens.
  const SoundEmbedding *sound;
  /// A table that `words` of both, and the head, are read from, unless they
  /// are stored with other values; empty: the decoder's words.
  llvm::StringRef sharedWords;
  llvm::StringRef head;
  /// Whether the decoder's output is divided by sqrt(hidden) for the head,
  /// unless the configuration says otherwise; and whether the MLP is named by
  /// `feed_forward_proj`, and queries times keys are not scaled: T5.
  bool isT5;
  /// Whether query, value and output have biases, and the MLP.
  bool biased;
  /// Keys that change nothing of what is computed.
  llvm::ArrayRef<llvm::StringRef> ignoredKeys;
};

/// What an architecture computes of a family's parts.
enum class EncoderDecoderOutput {
  Logits,       ///< `logits`
  States,       ///< `last_hidden_state` and `encoder_last_hidden_state`
  EncoderStates ///< `last_hidden_state` of the encoder; there is no decoder
};

/// A class name in config.json.
struct EncoderDecoderArchitecture {
  llvm::StringRef name;
  const EncoderDecoderFamily *family;
  /// Before the names of the family's tensors in the files, not the head's.
  llvm::StringRef prefix;
  EncoderDecoderOutput output;
};

llvm::ArrayRef<EncoderDecoderArchitecture> encoderDecoderArchitectures();

} // namespace tpc

#endif // TPC_LIB_IMPORT_ENCODERDECODERFAMILIES_H
