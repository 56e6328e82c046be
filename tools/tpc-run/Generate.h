//===- Generate.h - Text from a decoder, token by token ---------*- C++ -*-===//

#ifndef TPC_TOOLS_TPCRUN_GENERATE_H
#define TPC_TOOLS_TPCRUN_GENERATE_H

#include "tpcrt/Runtime.h"

namespace tpc {

/// One run of a program.
struct Call {
  std::string entry;
  std::vector<tpcrt::HostTensor> inputs, outputs;
  double ms = 0;
};

/// Runs `entry` and takes the time.
tpcrt::Result<Call> runProgram(tpcrt::Executable &executable,
                               const std::string &entry,
                               std::vector<tpcrt::HostTensor> inputs);

/// Whether the loaded programs are those of a decoder: prefill with `input_ids`
/// [b, s], and perhaps `lengths` [b], or with an encoder's inputs and
/// `decoder_input_ids` [b, t]; decode with `input_ids` [b, 1] and `positions`
/// [b]; both with `logits` [b, vocabulary]. All integers are i64.
tpcrt::Result<void> checkDecoder(const tpcrt::Executable &executable);

/// Prefill with `inputs`, then decode until every row has `count` new tokens:
/// each the one with the largest logit, the first of equal ones. Returns what
/// was run: one prefill and count - 1 decodes. Starts from empty states.
tpcrt::Result<std::vector<Call>>
generateGreedily(tpcrt::Executable &executable,
                 const std::vector<tpcrt::HostTensor> &inputs, unsigned count);

/// What was generated: `tokens` [b, count] i64 and the `logits` that they were
/// chosen by, [b, count, vocabulary].
std::vector<tpcrt::HostTensor> generatedOutputs(const std::vector<Call> &calls);

} // namespace tpc

#endif // TPC_TOOLS_TPCRUN_GENERATE_H
