//===- Families.cpp - Families of models as rows of data ------------------===//

#include "Families.h"

using namespace tpc;

/// The layers of Llama, which its descendants kept; they differ in biases and
/// windows.
static DecoderFamily llamaLike(llvm::StringLiteral modelType,
                               Biases attentionBiases, Biases mlpBiases,
                               Windows windows) {
  return {
      modelType,
      attentionBiases,
      mlpBiases,
      windows,
      "model.embed_tokens",
      "model.norm",
      "lm_head",
      "model.layers.{}.self_attn",
      "model.layers.{}.input_layernorm",
      "model.layers.{}.self_attn.q_proj",
      "model.layers.{}.self_attn.k_proj",
      "model.layers.{}.self_attn.v_proj",
      "model.layers.{}.self_attn.o_proj",
      "model.layers.{}.post_attention_layernorm",
      "model.layers.{}.mlp.gate_proj",
      "model.layers.{}.mlp.up_proj",
      "model.layers.{}.mlp.down_proj",
  };
}

static DecoderFamily withHeadNorms(DecoderFamily family) {
  family.queryNorm = "model.layers.{}.self_attn.q_norm";
  family.keyNorm = "model.layers.{}.self_attn.k_norm";
  return family;
}

static DecoderFamily withExperts(DecoderFamily family,
                                 const ExpertNames &experts) {
  family.experts = &experts;
  return family;
}

static const ExpertNames kMixtralExperts = {
    "model.layers.{}.block_sparse_moe.gate",
    "model.layers.{}.block_sparse_moe.experts.{}.w1",
    "model.layers.{}.block_sparse_moe.experts.{}.w3",
    "model.layers.{}.block_sparse_moe.experts.{}.w2",
    "intermediate_size",
    /*normalized=*/true,
};

static const ExpertNames kQwen3Experts = {
    "model.layers.{}.mlp.gate",
    "model.layers.{}.mlp.experts.{}.gate_proj",
    "model.layers.{}.mlp.experts.{}.up_proj",
    "model.layers.{}.mlp.experts.{}.down_proj",
    "moe_intermediate_size",
    /*normalized=*/false,
};

static const DecoderFamily kDecoders[] = {
    llamaLike("llama", Biases::FromConfig, Biases::FromConfig, Windows::None),
    llamaLike("mistral", Biases::None, Biases::None, Windows::All),
    withExperts(
        llamaLike("mixtral", Biases::None, Biases::None, Windows::Given),
        kMixtralExperts),
    llamaLike("qwen2", Biases::QueryKeyValue, Biases::None, Windows::Listed),
    withHeadNorms(
        llamaLike("qwen3", Biases::FromConfig, Biases::None, Windows::Listed)),
    withExperts(withHeadNorms(llamaLike("qwen3_moe", Biases::FromConfig,
                                        Biases::None, Windows::Used)),
                kQwen3Experts),
};

static const Architecture kArchitectures[] = {
    {"LlamaForCausalLM", "llama"},     {"MistralForCausalLM", "mistral"},
    {"MixtralForCausalLM", "mixtral"}, {"Qwen2ForCausalLM", "qwen2"},
    {"Qwen3ForCausalLM", "qwen3"},     {"Qwen3MoeForCausalLM", "qwen3_moe"},
};

llvm::ArrayRef<DecoderFamily> tpc::decoderFamilies() { return kDecoders; }
llvm::ArrayRef<Architecture> tpc::architectures() { return kArchitectures; }
