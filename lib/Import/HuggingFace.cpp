//===- HuggingFace.cpp - Models from Hugging Face directories -------------===//

#include "tpc/Import/HuggingFace.h"
#include "Encoder.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace tpc;

bool tpc::isHuggingFaceDirectory(StringRef path) {
  llvm::SmallString<256> config(path);
  llvm::sys::path::append(config, "config.json");
  return llvm::sys::fs::exists(config);
}

/// The row of the first architecture that config.json names.
static FailureOr<Architecture> findArchitecture(const ModelConfig &config) {
  auto name = config.firstText("architectures");
  if (failed(name))
    return failure();
  for (const Architecture &architecture : architectures())
    if (architecture.name == *name)
      return architecture;
  auto error = config.error()
               << "unknown architecture \"" << *name << "\"; known are: ";
  llvm::interleaveComma(architectures(), error,
                        [&](const Architecture &a) { error << a.name; });
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

static FailureOr<Type> elementType(const ModelConfig &config, Builder builder) {
  auto name =
      config.text(config.has("dtype") ? "dtype" : "torch_dtype", "float32");
  if (failed(name))
    return failure();
  if (*name == "float32")
    return Type(builder.getF32Type());
  return config.error() << "expected dtype \"float32\", found \"" << *name
                        << "\", which is not supported yet";
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
  const EncoderFamily &family =
      *llvm::find_if(encoderFamilies(), [&](const EncoderFamily &family) {
        return family.modelType == architecture->modelType;
      });
  auto encoder = readEncoderConfig(*config);
  auto element = elementType(*config, Builder(context));
  if (failed(encoder) || failed(element) ||
      failed(checkActivation(*config, encoder->activation)))
    return {};
  if (options.batch < 1 || options.length < 1) {
    config->error() << "expected a batch and a length of at least 1, found "
                    << options.batch << " and " << options.length;
    return {};
  }
  OwningOpRef<ModuleOp> module = ModuleOp::create(config->location());
  GraphBuilder graph(*module, config->location(), *element, options.weights);
  if (failed(buildEncoder(graph, family, *architecture, *encoder, options)))
    return {};
  return module;
}
