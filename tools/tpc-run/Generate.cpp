//===- Generate.cpp - Text from a decoder, token by token -----------------===//

#include "Generate.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/bit.h"
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>

using namespace tpc;
using tpcrt::ElementType;
using tpcrt::HostTensor;

using Shape = std::vector<uint64_t>;

//===----------------------------------------------------------------------===//
// Logits
//===----------------------------------------------------------------------===//

/// IEEE half precision, exactly.
static float fromHalf(uint16_t bits) {
  int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  float sign = bits & 0x8000 ? -1.0f : 1.0f;
  if (exponent == 31)
    return fraction ? std::numeric_limits<float>::quiet_NaN()
                    : sign * std::numeric_limits<float>::infinity();
  if (exponent == 0)
    return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

static float elementAt(const HostTensor &tensor, uint64_t index) {
  switch (tensor.type()) {
  case ElementType::F32:
    return tensor.as<float>()[index];
  case ElementType::BF16:
    return llvm::bit_cast<float>(uint32_t(tensor.as<uint16_t>()[index]) << 16);
  default:
    return fromHalf(tensor.as<uint16_t>()[index]);
  }
}

/// The first of the largest elements of each row of [b, v].
static std::vector<int64_t> largest(const HostTensor &logits) {
  uint64_t rows = logits.shape()[0], columns = logits.shape()[1];
  std::vector<int64_t> chosen(rows, 0);
  for (uint64_t row = 0; row < rows; ++row) {
    auto at = [&](int64_t i) { return elementAt(logits, row * columns + i); };
    for (uint64_t i = 1; i < columns; ++i)
      if (at(i) > at(chosen[row]))
        chosen[row] = i;
  }
  return chosen;
}

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

static std::string describe(const tpcrt::ProgramInfo *program,
                            llvm::StringRef name) {
  if (!program)
    return "no " + name.str();
  std::string text = name.str();
  auto add = [&](const std::vector<tpcrt::TensorInfo> &ports) {
    text += "(" +
            llvm::join(llvm::map_range(ports,
                                       [](const tpcrt::TensorInfo &port) {
                                         return port.name + ": " +
                                                tpcrt::describeType(port.type,
                                                                    port.shape);
                                       }),
                       ", ") +
            ")";
  };
  add(program->inputs);
  text += " -> ";
  add(program->outputs);
  return text;
}

/// Whether the ports have these names and shapes; the first `required` must be
/// there.
static bool fits(const std::vector<tpcrt::TensorInfo> &ports,
                 std::vector<std::pair<std::string, Shape>> expected,
                 size_t required) {
  if (ports.size() < required || ports.size() > expected.size())
    return false;
  expected.resize(ports.size());
  return llvm::all_of(llvm::zip_equal(ports, expected), [](auto pair) {
    auto &[port, wanted] = pair;
    return port.name == wanted.first && port.shape == wanted.second &&
           port.type == ElementType::I64;
  });
}

static bool givesLogits(const tpcrt::ProgramInfo &program, uint64_t batch) {
  if (program.outputs.size() != 1)
    return false;
  const tpcrt::TensorInfo &logits = program.outputs[0];
  bool isFloat = logits.type == ElementType::F32 ||
                 logits.type == ElementType::BF16 ||
                 logits.type == ElementType::F16;
  return logits.name == "logits" && logits.shape.size() == 2 &&
         logits.shape[0] == batch && logits.shape[1] > 0 && isFloat;
}

/// Which input of prefill has the tokens that generated ones follow: those of
/// the decoder, where an encoder has some too.
static size_t promptIndex(const tpcrt::ProgramInfo &prefill) {
  for (auto [i, input] : llvm::enumerate(prefill.inputs))
    if (input.name == "decoder_input_ids")
      return i;
  return 0;
}

/// Whether the inputs are those of a decoder, or of an encoder-decoder, whose
/// encoder may take anything.
static bool takesPrompt(const tpcrt::ProgramInfo &prefill) {
  if (prefill.inputs.empty())
    return false;
  const tpcrt::TensorInfo &prompt = prefill.inputs[promptIndex(prefill)];
  if (prompt.shape.size() != 2 || prompt.type != ElementType::I64)
    return false;
  uint64_t batch = prompt.shape[0], length = prompt.shape[1];
  return prompt.name == "decoder_input_ids" ||
         fits(prefill.inputs,
              {{"input_ids", {batch, length}}, {"lengths", {batch}}}, 1);
}

tpcrt::Result<void> tpc::checkDecoder(const tpcrt::Executable &executable) {
  const tpcrt::ProgramInfo *prefill = executable.findProgram("prefill");
  const tpcrt::ProgramInfo *decode = executable.findProgram("decode");
  if (prefill && decode && takesPrompt(*prefill)) {
    uint64_t batch = prefill->inputs[promptIndex(*prefill)].shape[0];
    if (fits(decode->inputs,
             {{"input_ids", {batch, 1}}, {"positions", {batch}}}, 2) &&
        givesLogits(*prefill, batch) && givesLogits(*decode, batch))
      return {};
  }
  return tpcrt::makeError(
      "--generate: expected prefill(input_ids: bxsxi64[, lengths: bxi64]), or "
      "prefill with decoder_input_ids: bxtxi64, and "
      "decode(input_ids: bx1xi64, positions: bxi64) with the output logits: "
      "bxv; found " +
      describe(prefill, "prefill") + " and " + describe(decode, "decode"));
}

//===----------------------------------------------------------------------===//
// Generation
//===----------------------------------------------------------------------===//

static HostTensor toTensor(llvm::ArrayRef<int64_t> values, Shape shape) {
  HostTensor tensor(ElementType::I64, std::move(shape));
  std::memcpy(tensor.data(), values.data(), tensor.byteSize());
  return tensor;
}

tpcrt::Result<Call> tpc::runProgram(tpcrt::Executable &executable,
                                    const std::string &entry,
                                    std::vector<HostTensor> inputs) {
  auto begin = std::chrono::steady_clock::now();
  auto outputs = executable.run(entry, inputs);
  std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - begin;
  if (!outputs)
    return tl::unexpected(outputs.error());
  return Call{entry, std::move(inputs), std::move(*outputs), elapsed.count()};
}

/// How many tokens each row has.
static std::vector<int64_t> promptLengths(const tpcrt::ProgramInfo &prefill,
                                          const std::vector<HostTensor> &inputs,
                                          const Shape &prompt) {
  for (auto [port, input] : llvm::zip_equal(prefill.inputs, inputs))
    if (port.name == "lengths")
      return {input.as<int64_t>(), input.as<int64_t>() + prompt[0]};
  return std::vector<int64_t>(prompt[0], prompt[1]);
}

tpcrt::Result<std::vector<Call>>
tpc::generateGreedily(tpcrt::Executable &executable,
                      const std::vector<HostTensor> &inputs, unsigned count) {
  std::vector<Call> calls;
  auto add = [&](tpcrt::Result<Call> made) -> tpcrt::Result<void> {
    if (!made)
      return tl::unexpected(made.error());
    calls.push_back(std::move(*made));
    return {};
  };
  const tpcrt::ProgramInfo &prefill = *executable.findProgram("prefill");
  const Shape &prompt = inputs[promptIndex(prefill)].shape();
  std::vector<int64_t> positions = promptLengths(prefill, inputs, prompt);
  uint64_t batch = prompt[0], length = prompt[1];
  for (int64_t position : positions)
    if (position < 1 || position > static_cast<int64_t>(length))
      return tpcrt::makeError("input lengths: expected numbers from 1 to " +
                              std::to_string(length) + ", found " +
                              std::to_string(position));
  executable.resetStates();
  if (auto made = add(runProgram(executable, "prefill", inputs)); !made)
    return tl::unexpected(made.error());
  while (calls.size() < count) {
    std::vector<int64_t> tokens = largest(calls.back().outputs[0]);
    if (auto made = add(runProgram(
            executable, "decode",
            {toTensor(tokens, {batch, 1}), toTensor(positions, {batch})}));
        !made)
      return tl::unexpected(made.error());
    for (int64_t &position : positions)
      ++position;
  }
  return calls;
}

std::vector<HostTensor> tpc::generatedOutputs(const std::vector<Call> &calls) {
  const HostTensor &first = calls.front().outputs[0];
  uint64_t batch = first.shape()[0], count = calls.size();
  HostTensor tokens(ElementType::I64, {batch, count});
  HostTensor logits(first.type(), {batch, count, first.shape()[1]});
  uint64_t rowBytes = first.byteSize() / batch;
  for (auto [step, made] : llvm::enumerate(calls)) {
    std::vector<int64_t> chosen = largest(made.outputs[0]);
    for (uint64_t row = 0; row < batch; ++row) {
      tokens.as<int64_t>()[row * count + step] = chosen[row];
      std::memcpy(logits.data() + (row * count + step) * rowBytes,
                  made.outputs[0].data() + row * rowBytes, rowBytes);
    }
  }
  return {std::move(tokens), std::move(logits)};
}
