//===- Generator.cpp - Text from a decoder, token by token ----------------===//

#include "tpc/Driver/Generator.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <chrono>
#include <cstring>

using namespace tpc;
using tpcrt::ElementType;
using tpcrt::HostTensor;
using tpcrt::ProgramInfo;
using tpcrt::TensorInfo;

//===----------------------------------------------------------------------===//
// Programs
//===----------------------------------------------------------------------===//

static std::string describe(const ProgramInfo *program, llvm::StringRef name) {
  if (!program)
    return "no " + name.str();
  auto text = [](const std::vector<TensorInfo> &ports) {
    auto port = [](const TensorInfo &p) {
      return p.name + ": " + tpcrt::describeType(p.type, p.shape);
    };
    return "(" + llvm::join(llvm::map_range(ports, port), ", ") + ")";
  };
  return name.str() + text(program->inputs) + " -> " + text(program->outputs);
}

static const TensorInfo *findPort(const std::vector<TensorInfo> &ports,
                                  llvm::StringRef name) {
  auto found = llvm::find_if(
      ports, [&](const TensorInfo &port) { return port.name == name; });
  return found == ports.end() ? nullptr : &*found;
}

/// The tokens that prefill puts into the cache.
static const TensorInfo *promptOf(const ProgramInfo &prefill) {
  const TensorInfo *port = findPort(prefill.inputs, "decoder_input_ids");
  return port ? port : findPort(prefill.inputs, "input_ids");
}

static bool isTokens(const TensorInfo *port, std::vector<uint64_t> shape) {
  return port && port->type == ElementType::I64 && port->shape == shape;
}

static bool givesLogits(const ProgramInfo &program, uint64_t batch) {
  if (program.outputs.size() != 1)
    return false;
  const TensorInfo &logits = program.outputs[0];
  bool isFloat = logits.type == ElementType::F32 ||
                 logits.type == ElementType::BF16 ||
                 logits.type == ElementType::F16;
  return logits.name == "logits" && logits.shape.size() == 2 &&
         logits.shape[0] == batch && logits.shape[1] > 0 && isFloat;
}

static bool isDecoder(const ProgramInfo *prefill, const ProgramInfo *decode) {
  if (!prefill || !decode)
    return false;
  const TensorInfo *prompt = promptOf(*prefill);
  if (!prompt || prompt->shape.size() != 2 || !isTokens(prompt, prompt->shape))
    return false;
  uint64_t batch = prompt->shape[0];
  const TensorInfo *lengths = findPort(prefill->inputs, "lengths");
  return (!lengths || isTokens(lengths, {batch})) &&
         decode->inputs.size() == 2 &&
         isTokens(findPort(decode->inputs, "input_ids"), {batch, 1}) &&
         isTokens(findPort(decode->inputs, "positions"), {batch}) &&
         givesLogits(*prefill, batch) && givesLogits(*decode, batch);
}

tpcrt::Result<void> DecoderPrograms::check() const {
  const ProgramInfo *first = prefillExecutable->findProgram(prefill);
  const ProgramInfo *next = decodeExecutable->findProgram(decode);
  if (isDecoder(first, next))
    return {};
  return tpcrt::makeError(
      "generation: expected prefill(input_ids: bxsxi64[, lengths: bxi64]) and "
      "decode(input_ids: bx1xi64, positions: bxi64) with the output logits: "
      "bxv; found " +
      describe(first, "prefill") + " and " + describe(next, "decode"));
}

//===----------------------------------------------------------------------===//
// Generation
//===----------------------------------------------------------------------===//

namespace {

class Generation {
public:
  Generation(const DecoderPrograms &programs, const GenerationOptions &options)
      : programs(programs), options(options) {}

  tpcrt::Result<Generated> run(std::vector<HostTensor> inputs);

private:
  tpcrt::Result<void> readPositions(const std::vector<HostTensor> &inputs);
  void prepareDecode();
  /// Runs a program into its call's outputs.
  tpcrt::Result<void> step(tpcrt::Executable &executable, Call &call);
  /// A token for every row from logits; whether to go on.
  bool choose(const HostTensor &logits);
  Generated finish() const;

  const DecoderPrograms &programs;
  const GenerationOptions &options;
  uint64_t batch = 0;
  /// Of each row, where its next token goes.
  std::vector<int64_t> positions;
  std::vector<bool> ended;
  std::vector<std::vector<int64_t>> tokens; // by step
  Generated result;
  Call prefill, decode;
};

} // namespace

static std::vector<HostTensor> emptyTensors(const std::vector<TensorInfo> &of) {
  std::vector<HostTensor> tensors;
  for (const TensorInfo &port : of)
    tensors.emplace_back(port.type, port.shape);
  return tensors;
}

tpcrt::Result<void>
Generation::readPositions(const std::vector<HostTensor> &inputs) {
  const ProgramInfo &program =
      *programs.prefillExecutable->findProgram(programs.prefill);
  if (inputs.size() != program.inputs.size())
    return tpcrt::makeError(
        llvm::formatv("expected {0} inputs of prefill, found {1}",
                      program.inputs.size(), inputs.size()));
  const TensorInfo &prompt = *promptOf(program);
  batch = prompt.shape[0];
  auto length = static_cast<int64_t>(prompt.shape[1]);
  positions.assign(batch, length);
  if (const TensorInfo *lengths = findPort(program.inputs, "lengths")) {
    const auto *given = inputs[lengths - program.inputs.data()].as<int64_t>();
    positions.assign(given, given + batch);
  }
  for (int64_t position : positions)
    if (position < 1 || position > length)
      return tpcrt::makeError(llvm::formatv(
          "input lengths: expected numbers from 1 to {0}, found {1}", length,
          position));
  return {};
}

void Generation::prepareDecode() {
  const ProgramInfo &program =
      *programs.decodeExecutable->findProgram(programs.decode);
  decode.entry = programs.decode;
  decode.inputs = emptyTensors(program.inputs);
  decode.outputs = emptyTensors(program.outputs);
}

tpcrt::Result<void> Generation::step(tpcrt::Executable &executable,
                                     Call &call) {
  auto begin = std::chrono::steady_clock::now();
  if (auto run = executable.runInto(call.entry, call.inputs, call.outputs);
      !run)
    return run;
  call.ms = std::chrono::duration<double, std::milli>(
                std::chrono::steady_clock::now() - begin)
                .count();
  if (options.onCall)
    options.onCall(call);
  return {};
}

bool Generation::choose(const HostTensor &logits) {
  uint64_t vocabulary = logits.shape()[1];
  uint64_t rowBytes = logits.byteSize() / batch;
  std::vector<int64_t> chosen(batch, options.pad);
  for (uint64_t row = 0; row < batch; ++row) {
    if (ended[row])
      continue;
    chosen[row] = chooseToken(options.sampling, logits.type(),
                              logits.data() + row * rowBytes, vocabulary, row,
                              tokens.size());
    ++result.lengths[row];
    ended[row] = llvm::is_contained(options.endTokens, chosen[row]);
  }
  tokens.push_back(std::move(chosen));
  bool wanted = !options.onTokens || options.onTokens(tokens.back());
  return wanted && tokens.size() < options.count &&
         !llvm::all_of(ended, [](bool end) { return end; });
}

Generated Generation::finish() const {
  Generated done = result;
  done.tokens = HostTensor(ElementType::I64, {batch, tokens.size()});
  for (auto [i, row] : llvm::enumerate(tokens))
    for (uint64_t b = 0; b < batch; ++b)
      done.tokens.as<int64_t>()[b * tokens.size() + i] = row[b];
  return done;
}

tpcrt::Result<Generated> Generation::run(std::vector<HostTensor> inputs) {
  if (auto fits = programs.check(); !fits)
    return tl::unexpected(fits.error());
  if (auto good = options.check(); !good)
    return tl::unexpected(good.error());
  if (auto read = readPositions(inputs); !read)
    return tl::unexpected(read.error());
  ended.assign(batch, false);
  result.lengths.assign(batch, 0);
  if (auto reset = programs.prefillExecutable->resetStates(); !reset)
    return tl::unexpected(reset.error());
  prefill.entry = programs.prefill;
  prefill.inputs = std::move(inputs);
  prefill.outputs = emptyTensors(
      programs.prefillExecutable->findProgram(programs.prefill)->outputs);
  if (auto ran = step(*programs.prefillExecutable, prefill); !ran)
    return tl::unexpected(ran.error());
  result.prefillMs = prefill.ms;
  prepareDecode();
  bool goOn = choose(prefill.outputs[0]);
  while (goOn) {
    // In the order of the program's inputs, whichever that is.
    for (auto [port, input] : llvm::zip_equal(
             programs.decodeExecutable->findProgram(programs.decode)->inputs,
             decode.inputs))
      std::memcpy(input.data(),
                  port.name == "positions" ? positions.data()
                                           : tokens.back().data(),
                  input.byteSize());
    if (auto ran = step(*programs.decodeExecutable, decode); !ran)
      return tl::unexpected(ran.error());
    result.decodeMs.push_back(decode.ms);
    for (int64_t &position : positions)
      ++position;
    goOn = choose(decode.outputs[0]);
  }
  return finish();
}

tpcrt::Result<void> GenerationOptions::check() const {
  if (count < 1)
    return tpcrt::makeError("expected at least 1 new token, found 0");
  return sampling.check();
}

tpcrt::Result<Generated> tpc::generate(const DecoderPrograms &programs,
                                       std::vector<HostTensor> inputs,
                                       const GenerationOptions &options) {
  return Generation(programs, options).run(std::move(inputs));
}
