//===- DecoderFamilies.cpp - The decoders that are known ------------------===//

#include "DecoderRows.h"

using namespace tpc;
using namespace tpc::rows;

llvm::ArrayRef<DecoderFamily> tpc::decoderFamilies() {
  static const DecoderFamily families[] = {
      llama(),    mistral(),  mixtral(),    qwen2(),  qwen3(),      qwen2Moe(),
      qwen3Moe(), gemma(),    gemma2(),     gemma3(), phi(),        phi3(),
      gpt2(),     gptNeoX(),  gptJ(),       opt(),    falcon(),     bloom(),
      mpt(),      stableLm(), olmo(),       olmo2(),  starcoder2(), granite(),
      cohere(),   smolLm3(),  deepseekV3(), gptOss()};
  return families;
}
