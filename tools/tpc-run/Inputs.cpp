//===- Inputs.cpp - What the user gives a model ---------------------------===//

#include "Inputs.h"
#include "tpc/Import/HuggingFace.h"
#include "tpc/Pipeline/ModuleText.h"
#include "tpcrt/OutputFile.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace mlir;
using namespace tpc;

tpcrt::Result<Given> tpc::readGiven(const RunOptions &options) {
  Given given;
  for (const std::string &spec : options.inputs) {
    auto input = tpcrt::parseInputSpec(spec);
    if (!input)
      return tl::unexpected(input.error());
    given.inputs.push_back(std::move(*input));
  }
  std::vector<std::string> files;
  for (const std::string &spec : options.outputs) {
    auto output = tpcrt::parseOutputSpec(spec);
    if (!output)
      return tl::unexpected(output.error());
    files.push_back(output->path);
    given.outputs.push_back(std::move(*output));
  }
  for (const std::optional<std::string> &file :
       {options.save, options.report, options.planOut})
    if (file)
      files.push_back(*file);
  if (auto checked = tpcrt::checkOutputPaths(files); !checked)
    return tl::unexpected(checked.error());
  std::optional<std::string> path = options.weights;
  if (!path && !options.dryRun && isHuggingFaceDirectory(options.model))
    path = options.model;
  if (path) {
    auto weights = tpcrt::WeightSource::open(*path);
    if (!weights)
      return tl::unexpected(weights.error());
    given.weights = std::move(*weights);
  }
  return given;
}

/// Batch and lengths of the inputs, from those that are given, else from
/// --batch and --length.
static LogicalResult inputShapes(const RunOptions &options, const Given &given,
                                 ImportOptions &import, Location location) {
  if (options.batch)
    import.batch = *options.batch;
  if (options.length)
    import.length = *options.length;
  struct Kind {
    StringRef name, dimensions;
    size_t rank;
    int64_t *length;
  };
  const Kind kinds[] = {
      {"input_ids", "[batch, length]", 2, &import.length},
      {"decoder_input_ids", "[batch, length]", 2, &import.decoderLength},
      {"pixel_values", "[batch, channels, height, width]", 4, nullptr},
      {"input_features", "[batch, channels, length]", 3, nullptr},
  };
  for (const tpcrt::NamedTensor &input : given.inputs)
    for (const Kind &kind : kinds) {
      const std::vector<uint64_t> &shape = input.value.shape();
      if (input.name != kind.name)
        continue;
      if (shape.size() != kind.rank)
        return emitError(location)
               << "input " << kind.name << ": expected the shape "
               << kind.dimensions << ", found " << input.value.describe();
      import.batch = shape[0];
      if (kind.length)
        *kind.length = shape[1];
    }
  return success();
}

static OwningOpRef<ModuleOp> importModel(MLIRContext *context,
                                         const RunOptions &options,
                                         const Given &given) {
  ImportOptions import;
  if (given.weights)
    import.weights = &*given.weights;
  import.entry = options.entry.value_or("");
  import.element = options.element;
  if (options.logits == "all")
    import.logits = LogitsOf::AllTokens;
  if (failed(inputShapes(options, given, import, UnknownLoc::get(context))))
    return {};
  import.context = options.context;
  import.generated = options.newTokens;
  // Optional inputs that are not given are left out of the entry.
  if (!given.inputs.empty())
    for (StringRef name : {"attention_mask", "decoder_attention_mask",
                           "token_type_ids", "lengths"})
      if (llvm::none_of(given.inputs, [&](const tpcrt::NamedTensor &input) {
            return input.name == name;
          }))
        import.without.insert(name);
  return importHuggingFace(context, options.model, import);
}

static OwningOpRef<ModuleOp> parseModel(MLIRContext *context, StringRef path) {
  auto file = llvm::MemoryBuffer::getFileOrSTDIN(path);
  if (!file) {
    emitError(UnknownLoc::get(context))
        << "cannot read '" << path << "': " << file.getError().message()
        << "; expected a .mlir file, or a directory with a config.json";
    return {};
  }
  return parseModule(std::move(*file), context);
}

OwningOpRef<ModuleOp> tpc::loadModel(MLIRContext *context,
                                     const RunOptions &options,
                                     const Given &given) {
  if (isHuggingFaceDirectory(options.model))
    return importModel(context, options, given);
  return parseModel(context, options.model);
}
