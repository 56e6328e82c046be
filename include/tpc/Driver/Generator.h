//===- Generator.h - Text from a decoder, token by token --------*- C++ -*-===//
//
// Runs the entries `prefill` and `decode` of a loaded model in turn and chooses
// tokens from their logits. Weights and caches stay where they are; a step
// copies the tokens in and the logits out.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_DRIVER_GENERATOR_H
#define TPC_DRIVER_GENERATOR_H

#include "tpcrt/Runtime.h"
#include <functional>

namespace tpc {

/// How a token is chosen from logits: scaled by 1 / temperature, of the
/// likeliest `topK` the fewest whose probabilities reach `topP`, and of these
/// one by chance.
struct Sampling {
  /// 0: always the likeliest, the first of equal ones.
  double temperature = 0;
  /// 0: all.
  int64_t topK = 0;
  double topP = 1;
  /// The same seed gives the same choices for the same logits, in each row
  /// whatever the others hold.
  uint64_t seed = 0;

  /// An error that names the field that is out of range.
  tpcrt::Result<void> check() const;
};

/// The token of row `row` after `step` others; `logits` are [vocabulary] of a
/// float type.
int64_t chooseToken(const Sampling &sampling, tpcrt::ElementType type,
                    const std::byte *logits, uint64_t vocabulary, uint64_t row,
                    uint64_t step);

/// One run of a program.
struct Call {
  std::string entry;
  std::vector<tpcrt::HostTensor> inputs, outputs;
  double ms = 0;
};

struct GenerationOptions {
  /// New tokens per row, at most.
  uint64_t count = 1;
  Sampling sampling;
  /// Tokens that end a row. What follows them in the result is `pad`.
  std::vector<int64_t> endTokens;
  int64_t pad = 0;
  /// Called with the new tokens [b] of every step (`pad` in rows that have
  /// ended); false ends the generation.
  std::function<bool(const std::vector<int64_t> &)> onTokens;
  /// Called after every run of a program.
  std::function<void(const Call &)> onCall;

  /// An error that names the option that is out of range.
  tpcrt::Result<void> check() const;
};

struct Generated {
  /// [b, n], n at most `count`: less where all rows have ended.
  tpcrt::HostTensor tokens;
  /// Tokens of each row, the one that ended it included.
  std::vector<int64_t> lengths;
  double prefillMs = 0;
  /// Of each decode.
  std::vector<double> decodeMs;
};

/// Programs of a decoder: `prefill`, with the output `logits` [b, vocabulary]
/// and inputs of which `input_ids` (or `decoder_input_ids` where there are
/// both) is [b, s] and `lengths`, if there, [b]; `decode` with `input_ids`
/// [b, 1], `positions` [b] and the same output. Tokens are i64.
struct DecoderPrograms {
  tpcrt::Executable *prefillExecutable = nullptr;
  tpcrt::Executable *decodeExecutable = nullptr;
  std::string prefill = "prefill", decode = "decode";

  /// An error that says what was expected and found.
  tpcrt::Result<void> check() const;
};

/// Starts from empty states. `inputs` are prefill's, in its order. The caches
/// must have room for what is generated.
tpcrt::Result<Generated> generate(const DecoderPrograms &programs,
                                  std::vector<tpcrt::HostTensor> inputs,
                                  const GenerationOptions &options);

} // namespace tpc

#endif // TPC_DRIVER_GENERATOR_H
