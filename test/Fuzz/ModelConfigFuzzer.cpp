// No config.json crashes the importer, and a small model that it accepts is a
// module that verifies. The input is the file.
#include "Decoder.h"
#include "Encoder.h"
#include "EncoderDecoder.h"
#include "TemporaryFolder.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace tpc;

/// LLVM's libraries are not instrumented: containers and arenas that cross
/// their boundary look overflown.
extern "C" const char *__asan_default_options() {
  return "detect_container_overflow=0:allow_user_poisoning=0:detect_leaks=0";
}

static bool isSmall(const ModelConfig &config) {
  bool found = false;
  for (llvm::StringRef key :
       {"num_hidden_layers", "n_layer", "n_layers", "num_layers",
        "num_decoder_layers", "encoder_layers", "decoder_layers"}) {
    if (!config.has(key))
      continue;
    auto layers = config.integer(key);
    if (failed(layers) || *layers > 4)
      return false;
    found = true;
  }
  return found;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const TemporaryFolder folder;
  folder.write("config.json", data, size);
  MLIRContext context(MLIRContext::Threading::DISABLED);
  ScopedDiagnosticHandler quiet(&context, [](Diagnostic &) {});
  auto config = ModelConfig::read(&context, folder.path());
  if (failed(config))
    return 0;
  for (const EncoderArchitecture &architecture : encoderArchitectures())
    (void)readEncoderConfig(*config, architecture);
  for (const auto &architecture : encoderDecoderArchitectures())
    (void)readEncoderDecoderConfig(*config, *architecture.family);
  for (const DecoderFamily &family : decoderFamilies())
    (void)readDecoderConfig(*config, family);
  if (!isSmall(*config))
    return 0;
  ImportOptions options;
  options.length = 8;
  auto module = importHuggingFace(&context, folder.path(), options);
  if (module && failed(verify(*module)))
    std::abort();
  return 0;
}
