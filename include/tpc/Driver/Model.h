//===- Model.h - A model that compiles what it is asked for -----*- C++ -*-===//
//
// A Hugging Face directory, opened once and called with inputs of any shape.
// Programs are static: one is compiled for each shape that is met, with lengths
// rounded up so that few are met. The first program decides how the weights are
// split; later ones are compiled for weights that lie so. All share the weights
// in memory, and those of a decoder for one batch and context their caches.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_DRIVER_MODEL_H
#define TPC_DRIVER_MODEL_H

#include "tpc/Driver/Generator.h"
#include "tpc/Pipeline/AssignOptions.h"
#include "tpcrt/TensorSpec.h"

namespace tpc {

struct ModelOptions {
  /// "dp=2,tp=4"
  std::string mesh = "tp=1";
  /// ImportOptions::element.
  std::string element = "f32";
  AssignPhaseOptions assign;
  /// "cpu" or "cuda".
  std::string device = "cpu";
  /// How programs are run; they share their storage in any case.
  tpcrt::LoadOptions load;
  /// Tokens that the caches hold per row; nothing: what a generation needs,
  /// rounded up.
  std::optional<int64_t> context;
};

/// The lengths that programs are compiled for: 16, 24, 32, 48, 64, 96, ...; the
/// first of at least `length`.
int64_t bucketOf(int64_t length);

using NamedTensors = std::vector<tpcrt::NamedTensor>;

class Model {
public:
  /// Programs that are kept; the one that was not used for longest goes.
  static constexpr size_t kMaxPrograms = 8;

  /// Reads the configuration and the headers of the weights.
  static tpcrt::Result<std::unique_ptr<Model>> open(std::string directory,
                                                    ModelOptions options);

  /// The outputs for whole inputs, with the names and shapes that transformers
  /// gives them; a decoder's `logits` are of all tokens. `attention_mask` may
  /// be left out; a decoder's rows may be padded on one side, where their
  /// logits are 0.
  tpcrt::Result<NamedTensors> run(NamedTensors inputs);

  /// Continues the prompts `input_ids`, of which those tokens count whose
  /// `attention_mask` is 1.
  tpcrt::Result<Generated> generate(NamedTensors inputs,
                                    const GenerationOptions &options);

  ~Model();

  /// Whether it has the entries that generation needs.
  bool generates() const;
  /// Of the first program, which split the weights: the report as JSON, the
  /// plan for people, and how each value lies as JSON. Empty before it is
  /// there.
  std::string report() const;
  std::string plan() const;
  std::string values() const;
  /// Of the program that was used last; nothing before the first.
  std::optional<tpcrt::Statistics> statistics() const;

private:
  class Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace tpc

#endif // TPC_DRIVER_MODEL_H
