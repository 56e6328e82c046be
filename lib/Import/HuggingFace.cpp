//===- HuggingFace.cpp - Models from Hugging Face directories -------------===//

#include "tpc/Import/HuggingFace.h"
#include "Decoder.h"
#include "Encoder.h"
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

/// The first architecture that config.json names, which is one of either.
namespace {
struct Known {
  const DecoderFamily *decoder = nullptr;
  const Architecture *encoder = nullptr;
};
} // namespace

static FailureOr<Known> findArchitecture(const ModelConfig &config) {
  auto name = config.firstText("architectures");
  if (failed(name))
    return failure();
  SmallVector<StringRef> names;
  for (const Architecture &encoder : architectures()) {
    if (encoder.name == *name)
      return Known{nullptr, &encoder};
    names.push_back(encoder.name);
  }
  for (const DecoderFamily &decoder : decoderFamilies()) {
    if (decoder.architecture == *name)
      return Known{&decoder, nullptr};
    names.push_back(decoder.architecture);
  }
  auto error = config.error()
               << "unknown architecture \"" << *name << "\"; known are: ";
  llvm::interleaveComma(names, error);
  return error;
}

/// Values that would change the result and that no family here implements.
static LogicalResult checkActivation(const ModelConfig &config,
                                     StringRef activation) {
  static constexpr StringRef known[] = {"gelu", "gelu_new", "gelu_pytorch_tanh",
                                        "relu"};
  if (llvm::is_contained(known, activation))
    return success();
  auto error = config.error() << "key \"hidden_act\": expected one of ";
  llvm::interleaveComma(known, error);
  return error << ", found \"" << activation << "\"";
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

static LogicalResult build(GraphBuilder &graph, const ModelConfig &config,
                           const DecoderFamily &family,
                           const ImportOptions &options) {
  auto decoder = readDecoderConfig(config, family);
  if (failed(decoder) ||
      failed(config.checkAllKeysAreKnown(family.architecture, family.ignored)))
    return failure();
  return buildDecoder(graph, *decoder, options);
}

static LogicalResult build(GraphBuilder &graph, const ModelConfig &config,
                           const Architecture &architecture,
                           const ImportOptions &options) {
  const EncoderFamily &family =
      *llvm::find_if(encoderFamilies(), [&](const EncoderFamily &family) {
        return family.modelType == architecture.modelType;
      });
  auto encoder = readEncoderConfig(config);
  if (failed(encoder) || failed(checkActivation(config, encoder->activation)) ||
      failed(config.checkAllKeysAreKnown(architecture.name)))
    return failure();
  return buildEncoder(graph, family, architecture, *encoder, options);
}

OwningOpRef<ModuleOp> tpc::importHuggingFace(MLIRContext *context,
                                             StringRef directory,
                                             const ImportOptions &options) {
  context->loadDialect<TpcDialect, func::FuncDialect>();
  auto config = ModelConfig::read(context, directory);
  if (failed(config))
    return {};
  auto architecture = findArchitecture(*config);
  if (failed(architecture))
    return {};
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
  if (failed(architecture->decoder
                 ? build(graph, *config, *architecture->decoder, options)
                 : build(graph, *config, *architecture->encoder, options)))
    return {};
  return module;
}
