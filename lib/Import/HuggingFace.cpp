//===- HuggingFace.cpp - Models from Hugging Face directories -------------===//

#include "tpc/Import/HuggingFace.h"
#include "Decoder.h"
#include "Encoder.h"
#include "EncoderDecoder.h"
#include "Training.h"
#include "tpc/Dialect/Tpc/Differentiate.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace tpc;

bool tpc::isHuggingFaceDirectory(StringRef path) {
  llvm::SmallString<256> config(path);
  llvm::sys::path::append(config, "config.json");
  return llvm::sys::fs::exists(config);
}

/// The configuration's element type, which stored tensors are taken to have.
static FailureOr<Type> storedType(const ModelConfig &config, Builder builder) {
  StringRef key = config.has("dtype") ? "dtype" : "torch_dtype";
  auto name = config.text(key, "float32");
  if (failed(name))
    return failure();
  auto type = llvm::StringSwitch<Type>(*name)
                  .Case("float32", builder.getF32Type())
                  .Case("bfloat16", builder.getBF16Type())
                  .Case("float16", builder.getF16Type())
                  .Default(Type());
  if (!type)
    return config.error() << "key \"" << key
                          << "\": expected \"float32\", \"bfloat16\" or "
                             "\"float16\", found \""
                          << *name << "\"";
  return type;
}

/// The element type that the graph computes in.
static FailureOr<Type> elementType(const ModelConfig &config, StringRef wanted,
                                   Type stored, Builder builder) {
  auto type = llvm::StringSwitch<Type>(wanted)
                  .Case("f32", builder.getF32Type())
                  .Case("bf16", builder.getBF16Type())
                  .Case("f16", builder.getF16Type())
                  .Case("stored", stored)
                  .Default(Type());
  if (!type)
    return config.error() << "expected an element type f32, bf16, f16 or "
                             "stored, found \""
                          << wanted << "\"";
  return type;
}

/// How many tokens the cache of a decoder has room for, after a prompt of
/// `prompt` tokens.
static FailureOr<int64_t> contextOf(const ImportOptions &options,
                                    int64_t prompt, const ModelConfig &config) {
  // The last token that is generated does not go into the cache.
  int64_t needed = prompt + std::max<int64_t>(options.generated - 1, 0);
  int64_t context = options.context.value_or(needed);
  if (context >= needed)
    return context;
  auto error = config.error()
               << "--context: a prompt of " << prompt << " tokens";
  if (options.generated > 0)
    error << " and " << options.generated << " more need";
  else
    error << " needs";
  return error << " a context of " << needed << ", found " << context;
}

static StringRef nameOf(const DecoderFamily &row) { return row.architecture; }
template <typename Row> static StringRef nameOf(const Row &row) {
  return row.name;
}

template <typename Row>
static const Row *named(ArrayRef<Row> rows, StringRef name) {
  const Row *found =
      llvm::find_if(rows, [&](const Row &row) { return nameOf(row) == name; });
  return found == rows.end() ? nullptr : found;
}

static LogicalResult build(GraphBuilder &graph, const ModelConfig &config,
                           const EncoderArchitecture &architecture,
                           const ImportOptions &options) {
  auto encoder = readEncoderConfig(config, architecture);
  if (failed(encoder) ||
      failed(config.checkAllKeysAreKnown(architecture.name,
                                         architecture.family->ignoredKeys)))
    return failure();
  return buildEncoder(graph, architecture, *encoder, options);
}

static LogicalResult build(GraphBuilder &graph, const ModelConfig &config,
                           const EncoderDecoderArchitecture &architecture,
                           const ImportOptions &options) {
  auto sizes = readEncoderDecoderConfig(config, *architecture.family);
  auto context = contextOf(options, options.decoderLength, config);
  if (failed(sizes) || failed(context) ||
      failed(config.checkAllKeysAreKnown(architecture.name,
                                         architecture.family->ignoredKeys)))
    return failure();
  return buildEncoderDecoder(graph, architecture, *sizes, *context, options);
}

static LogicalResult build(GraphBuilder &graph, const ModelConfig &config,
                           const DecoderFamily &family,
                           const ImportOptions &options) {
  auto decoder = readDecoderConfig(config, family);
  auto context = contextOf(options, options.length, config);
  if (failed(decoder) || failed(context) ||
      failed(config.checkAllKeysAreKnown(family.architecture, family.ignored)))
    return failure();
  ImportOptions withContext = options;
  withContext.context = *context;
  return buildDecoder(graph, *decoder, withContext);
}

/// By the row of the first architecture that config.json names.
static LogicalResult build(GraphBuilder &graph, const ModelConfig &config,
                           const ImportOptions &options) {
  auto name = config.firstText("architectures");
  if (failed(name))
    return failure();
  if (auto *row = named(encoderArchitectures(), *name))
    return build(graph, config, *row, options);
  if (auto *row = named(encoderDecoderArchitectures(), *name))
    return build(graph, config, *row, options);
  if (auto *row = named(decoderFamilies(), *name))
    return build(graph, config, *row, options);
  SmallVector<StringRef> known;
  auto add = [&](const auto &rows) {
    for (const auto &row : rows)
      known.push_back(nameOf(row));
  };
  add(encoderArchitectures());
  add(encoderDecoderArchitectures());
  add(decoderFamilies());
  auto error = config.error()
               << "unknown architecture \"" << *name << "\"; known are: ";
  llvm::interleaveComma(known, error);
  return error;
}

OwningOpRef<ModuleOp> tpc::importHuggingFace(MLIRContext *context,
                                             StringRef directory,
                                             const ImportOptions &options) {
  context->loadDialect<TpcDialect, func::FuncDialect>();
  auto config = ModelConfig::read(context, directory);
  if (failed(config))
    return {};
  if (config->has("quantization_config")) {
    config->error() << "key \"quantization_config\": expected weights that are "
                       "not quantized; pass a model whose weights are float32, "
                       "bfloat16 or float16";
    return {};
  }
  Builder builder(context);
  auto stored = storedType(*config, builder);
  if (failed(stored))
    return {};
  auto element = elementType(*config, options.element, *stored, builder);
  if (failed(element))
    return {};
  if (options.batch < 1 || options.length < 1) {
    config->error() << "expected a batch and a length of at least 1, found "
                    << options.batch << " and " << options.length;
    return {};
  }
  OwningOpRef<ModuleOp> module = ModuleOp::create(config->location());
  GraphBuilder graph(*module, config->location(), *element, *stored,
                     options.weights);
  if (failed(build(graph, *config, options)))
    return {};
  if (auto step = module->lookupSymbol<func::FuncOp>(kStepEntry))
    if (failed(differentiate(step, "loss", {})))
      return {};
  return module;
}
