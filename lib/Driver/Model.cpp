//===- Model.cpp - A model that compiles what it is asked for -------------===//

#include "tpc/Driver/Model.h"
#include "ModelPrograms.h"
#include "Rows.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <mutex>

using namespace mlir;
using namespace tpc;
using tpcrt::ElementType;
using tpcrt::HostTensor;
using tpcrt::NamedTensor;
using tpcrt::Result;

class Model::Impl {
public:
  Impl(std::string directory, ModelOptions options)
      : directory(directory), context(options.context),
        programs(std::move(directory), std::move(options)) {}

  Result<void> open();
  Result<NamedTensors> run(NamedTensors inputs);
  Result<Generated> generate(NamedTensors inputs,
                             const GenerationOptions &options);

  std::mutex mutex; // one call at a time
  bool isDecoder = false;
  std::string directory;
  /// ModelOptions::context.
  std::optional<int64_t> context;
  ModelPrograms programs;

private:
  Result<NamedTensors> runDecoder(NamedTensors inputs);
  /// Runs the program for these inputs, or for longer ones, filled up.
  Result<NamedTensors> runPadded(const ImportOptions &options,
                                 NamedTensors inputs);
  Result<DecoderPrograms> decoderPrograms(const ImportOptions &options);
  /// Keeps what a generation runs from being dropped meanwhile.
  std::vector<ModelPrograms::Executable> inUse;
};

//===----------------------------------------------------------------------===//
// Inputs
//===----------------------------------------------------------------------===//

static const HostTensor *findInput(const NamedTensors &tensors,
                                   StringRef name) {
  auto found = llvm::find_if(
      tensors, [&](const NamedTensor &t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &found->value;
}

static HostTensor ones(const std::vector<uint64_t> &shape) {
  HostTensor tensor(ElementType::I64, shape);
  std::fill_n(tensor.as<int64_t>(), tensor.size(), 1);
  return tensor;
}

/// Token inputs are [b, s] i64, all of one shape.
static Result<void> checkTokens(const NamedTensors &inputs) {
  const HostTensor *tokens = findInput(inputs, "input_ids");
  for (const auto &[name, value] : inputs) {
    if (name != "input_ids" && name != "attention_mask" &&
        name != "token_type_ids")
      continue;
    bool same = value.type() == ElementType::I64 && value.shape().size() == 2 &&
                value.size() > 0 &&
                (!tokens || value.shape() == tokens->shape());
    if (!same)
      return tpcrt::makeError(llvm::formatv(
          "{0}: expected [batch, length] of i64{1}, found {2}", name,
          tokens && name != "input_ids" ? ", like input_ids" : "",
          value.describe()));
  }
  return {};
}

/// What a decoder takes: `input_ids`, and of which tokens.
static Result<RowSpans> decoderSpans(const NamedTensors &inputs) {
  if (auto good = checkTokens(inputs); !good)
    return tl::unexpected(good.error());
  const HostTensor *tokens = findInput(inputs, "input_ids");
  if (!tokens)
    return tpcrt::makeError("expected the input input_ids, found none");
  for (const NamedTensor &input : inputs)
    if (input.name != "input_ids" && input.name != "attention_mask")
      return tpcrt::makeError("there is no input '" + input.name +
                              "'; a decoder takes input_ids and "
                              "attention_mask");
  if (const HostTensor *mask = findInput(inputs, "attention_mask"))
    return spansOf(*mask);
  return fullSpans(tokens->shape()[0], tokens->shape()[1]);
}

static HostTensor lengthsOf(const RowSpans &spans) {
  HostTensor lengths(ElementType::I64, {spans.lengths.size()});
  llvm::copy(spans.lengths, lengths.as<int64_t>());
  return lengths;
}

//===----------------------------------------------------------------------===//
// Model
//===----------------------------------------------------------------------===//

Model::Model(std::unique_ptr<Impl> impl) : impl(std::move(impl)) {}
Model::~Model() = default;

Result<std::unique_ptr<Model>> Model::open(std::string directory,
                                           ModelOptions options) {
  auto impl = std::make_unique<Impl>(std::move(directory), std::move(options));
  if (auto opened = impl->open(); !opened)
    return tl::unexpected(opened.error());
  return std::unique_ptr<Model>(new Model(std::move(impl)));
}

Result<NamedTensors> Model::run(NamedTensors inputs) {
  std::lock_guard lock(impl->mutex);
  return impl->run(std::move(inputs));
}

Result<Generated> Model::generate(NamedTensors inputs,
                                  const GenerationOptions &options) {
  std::lock_guard lock(impl->mutex);
  return impl->generate(std::move(inputs), options);
}

bool Model::generates() const { return impl->isDecoder; }

std::string Model::report() const {
  std::lock_guard lock(impl->mutex);
  const Report *report = impl->programs.report();
  return report ? toJson(*report) : "";
}

std::string Model::plan() const {
  std::lock_guard lock(impl->mutex);
  const Report *report = impl->programs.report();
  return report ? planText(*report) : "";
}

std::string Model::values() const {
  std::lock_guard lock(impl->mutex);
  const Report *report = impl->programs.report();
  return report ? valuesToJson(report->values) : "";
}

std::optional<tpcrt::Statistics> Model::statistics() const {
  std::lock_guard lock(impl->mutex);
  const tpcrt::Executable *latest = impl->programs.latest();
  return latest ? std::optional(latest->statistics()) : std::nullopt;
}

Result<void> Model::Impl::open() {
  if (auto opened = programs.open(); !opened)
    return opened;
  // The smallest program tells what the model is, and whether it is whole.
  ImportOptions smallest;
  smallest.length = 1;
  auto module = programs.import(smallest);
  if (!module)
    return tl::unexpected(module.error());
  isDecoder = (*module)->lookupSymbol("decode") != nullptr;
  return {};
}

//===----------------------------------------------------------------------===//
// Whole inputs
//===----------------------------------------------------------------------===//

Result<NamedTensors> Model::Impl::run(NamedTensors inputs) {
  if (isDecoder)
    return runDecoder(std::move(inputs));
  ImportOptions exact;
  if (auto good = checkTokens(inputs); !good)
    return tl::unexpected(good.error());
  if (const HostTensor *tokens = findInput(inputs, "input_ids")) {
    exact.batch = tokens->shape()[0];
    exact.length = tokens->shape()[1];
    // With a mask, so that the rows can be filled up.
    if (!findInput(inputs, "attention_mask"))
      inputs.push_back({"attention_mask", ones(tokens->shape())});
  } else if (!inputs.empty() && !inputs[0].value.shape().empty()) {
    exact.batch = inputs[0].value.shape()[0];
  }
  for (StringRef name : {"attention_mask", "token_type_ids"})
    if (!findInput(inputs, name))
      exact.without.insert(name);
  return runPadded(exact, std::move(inputs));
}

Result<NamedTensors> Model::Impl::runDecoder(NamedTensors inputs) {
  auto spans = decoderSpans(inputs);
  if (!spans)
    return tl::unexpected(spans.error());
  const HostTensor &tokens = *findInput(inputs, "input_ids");
  ImportOptions exact;
  exact.batch = tokens.shape()[0];
  exact.length = tokens.shape()[1];
  exact.entry = "prefill";
  exact.logits = LogitsOf::AllTokens;
  auto outputs = runPadded(exact, {{"input_ids", toTheLeft(tokens, *spans)},
                                   {"lengths", lengthsOf(*spans)}});
  if (outputs)
    for (NamedTensor &output : *outputs)
      output.value = fromTheLeft(output.value, *spans);
  return outputs;
}

Result<NamedTensors> Model::Impl::runPadded(const ImportOptions &exact,
                                            NamedTensors inputs) {
  auto found = programs.signature(exact);
  if (!found)
    return tl::unexpected(found.error());
  const ModelPrograms::Signature &shapes = **found;
  auto executable = programs.program(shapes.compiled);
  if (!executable)
    return tl::unexpected(executable.error());
  const tpcrt::ProgramInfo &info = *(*executable)->findProgram(shapes.entry);
  std::vector<std::string> names;
  for (const tpcrt::TensorInfo &port : info.inputs)
    names.push_back(port.name);
  auto ordered = tpcrt::orderByName("input", names, std::move(inputs));
  if (!ordered)
    return tl::unexpected(ordered.error());
  for (auto [port, value, shape] :
       llvm::zip_equal(info.inputs, *ordered, shapes.inputs)) {
    if (value.type() != port.type || value.shape() != shape)
      return tpcrt::makeError(llvm::formatv(
          "input {0}: expected {1}, found {2}", port.name,
          tpcrt::describeType(port.type, shape), value.describe()));
    if (shape != port.shape)
      value = resized(value, port.shape);
  }
  auto outputs = (*executable)->run(info.name, *ordered);
  if (!outputs)
    return tl::unexpected(outputs.error());
  NamedTensors result;
  for (auto [port, value, shape] :
       llvm::zip_equal(info.outputs, *outputs, shapes.outputs))
    result.push_back({port.name, shape == port.shape ? std::move(value)
                                                     : resized(value, shape)});
  return result;
}

//===----------------------------------------------------------------------===//
// Generation
//===----------------------------------------------------------------------===//

Result<Generated> Model::Impl::generate(NamedTensors inputs,
                                        const GenerationOptions &generation) {
  if (!isDecoder)
    return tpcrt::makeError(directory +
                            ": this model does not generate: it has no decode");
  auto spans = decoderSpans(inputs);
  if (!spans)
    return tl::unexpected(spans.error());
  const HostTensor &tokens = *findInput(inputs, "input_ids");
  uint64_t batch = tokens.shape()[0];
  ImportOptions exact;
  exact.batch = static_cast<int64_t>(batch);
  exact.length = *llvm::max_element(spans->lengths);
  // The last token that is generated does not go into the cache.
  int64_t needed = exact.length + static_cast<int64_t>(generation.count) - 1;
  exact.context = context.value_or(needed);
  if (*exact.context < needed)
    return tpcrt::makeError(llvm::formatv(
        "a prompt of {0} tokens and {1} more need a context of {2}, found {3}; "
        "open the model with a larger context",
        exact.length, generation.count, needed, *exact.context));
  ImportOptions wide = programs.rounded(exact);
  if (context)
    wide.context = exact.context;

  auto decoder = decoderPrograms(wide);
  if (!decoder)
    return tl::unexpected(decoder.error());

  std::vector<HostTensor> ordered;
  ordered.push_back(resized(toTheLeft(tokens, *spans),
                            {batch, static_cast<uint64_t>(wide.length)}));
  ordered.push_back(lengthsOf(*spans));
  return tpc::generate(*decoder, std::move(ordered), generation);
}

Result<DecoderPrograms>
Model::Impl::decoderPrograms(const ImportOptions &both) {
  ImportOptions prefill = both, decode = both;
  prefill.entry = "prefill";
  decode.entry = "decode";
  decode.length = 1;
  // Together they decide how the weights are split.
  if (!programs.areSplit())
    if (auto made = programs.compileTogether(both, {prefill, decode}); !made)
      return tl::unexpected(made.error());
  inUse.clear();
  for (const ImportOptions &entry : {prefill, decode}) {
    auto program = programs.program(entry);
    if (!program)
      return tl::unexpected(program.error());
    inUse.push_back(std::move(*program));
  }
  return DecoderPrograms{inUse[0].get(), inUse[1].get()};
}
