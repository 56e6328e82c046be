//===- DecoderRows.h - The rows of decoder families -------------*- C++ -*-===//
//
// Each states what differs from the defaults (DecoderFamily.h), by transformers
// 5.23, whose names and defaults these are.
//
//===----------------------------------------------------------------------===//

#ifndef TPC_LIB_IMPORT_DECODERROWS_H
#define TPC_LIB_IMPORT_DECODERROWS_H

#include "DecoderFamily.h"
#include "DecoderVariants.h"

namespace tpc::rows {

inline DecoderFamily row(llvm::StringRef architecture) {
  DecoderFamily row;
  row.architecture = architecture;
  return row;
}

constexpr Flag kAlways = {"", true};
constexpr Flag kNever = {"", false};
constexpr NormStyle kLayerNorm = {NormKind::Layer, true, true};
constexpr NormStyle kNoBias = {NormKind::Layer, true, false};

using Expected = std::pair<llvm::StringRef, llvm::StringRef>;

// LlamaRows.cpp
DecoderFamily llama(), mistral(), mixtral(), qwen2(), qwen3(), qwen2Moe(),
    qwen3Moe(), gemma(), gemma2(), gemma3(), phi(), phi3(), stableLm(), olmo(),
    olmo2(), starcoder2(), granite(), cohere(), smolLm3(), deepseekV3(),
    gptOss();

// GptRows.cpp
DecoderFamily gpt2(), gptNeoX(), gptJ(), opt(), falcon(), bloom(), mpt();

} // namespace tpc::rows

#endif // TPC_LIB_IMPORT_DECODERROWS_H
