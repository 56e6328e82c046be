//===- LlamaRows.cpp - Llama's family and those that kept its layers ------===//

#include "DecoderRows.h"

using namespace tpc;
using namespace tpc::rows;
using llvm::StringRef;

DecoderFamily rows::llama() {
  DecoderFamily r = row("LlamaForCausalLM");
  r.mlpBias = {"mlp_bias", false};
  return r;
}

DecoderFamily rows::mistral() {
  DecoderFamily r = row("MistralForCausalLM");
  r.kvHeads = 8;
  r.queryKeyValueBias = r.attentionOutputBias = kNever;
  r.windows = {WindowStyle::All, 4096};
  return r;
}

static const ExpertFamily kMixtralExperts = [] {
  ExpertFamily r;
  r.normalized = kAlways;
  r.countKeys = "num_local_experts|num_experts";
  r.widthKey = "intermediate_size";
  r.router = "model.layers.{}.block_sparse_moe.gate";
  r.gate = "model.layers.{}.block_sparse_moe.experts.{}.w1";
  r.up = "model.layers.{}.block_sparse_moe.experts.{}.w3";
  r.down = "model.layers.{}.block_sparse_moe.experts.{}.w2";
  return r;
}();

DecoderFamily rows::mixtral() {
  DecoderFamily r = mistral();
  r.architecture = "MixtralForCausalLM";
  r.epsilon = 1e-5;
  r.rope.theta = 1e6;
  r.windows.otherwise = 0;
  r.experts = &kMixtralExperts;
  return r;
}

DecoderFamily rows::qwen2() {
  DecoderFamily r = row("Qwen2ForCausalLM");
  r.kvHeads = 32;
  r.queryKeyValueBias = kAlways;
  r.attentionOutputBias = kNever;
  r.windows = {WindowStyle::FromMaxLayer, 4096, true};
  return r;
}

DecoderFamily rows::qwen3() {
  DecoderFamily r = row("Qwen3ForCausalLM");
  r.kvHeads = 32;
  r.headDim = 128;
  r.headNorm = HeadNorm::Shared;
  r.windows = {WindowStyle::FromMaxLayer, 4096, true};
  return r;
}

static const ExpertFamily kQwen3Experts = [] {
  ExpertFamily r;
  r.normalized = {"norm_topk_prob", false};
  r.countKeys = "num_local_experts|num_experts";
  r.widthKey = "moe_intermediate_size";
  r.router = "model.layers.{}.mlp.gate";
  r.gate = "model.layers.{}.mlp.experts.{}.gate_proj";
  r.up = "model.layers.{}.mlp.experts.{}.up_proj";
  r.down = "model.layers.{}.mlp.experts.{}.down_proj";
  return r;
}();

static const ExpertFamily kQwen2Experts = [] {
  ExpertFamily r = kQwen3Experts;
  r.sharedGate = "model.layers.{}.mlp.shared_expert.gate_proj";
  r.sharedUp = "model.layers.{}.mlp.shared_expert.up_proj";
  r.sharedDown = "model.layers.{}.mlp.shared_expert.down_proj";
  r.sharedSwitch = "model.layers.{}.mlp.shared_expert_gate";
  return r;
}();

DecoderFamily rows::qwen2Moe() {
  DecoderFamily r = row("Qwen2MoeForCausalLM");
  r.kvHeads = 16;
  r.queryKeyValueBias = {"qkv_bias", true};
  r.attentionOutputBias = kNever;
  r.windows = {WindowStyle::EveryOtherBelow, 4096, true};
  r.experts = &kQwen2Experts;
  r.adjust = adjustQwenMoe;
  return r;
}

DecoderFamily rows::qwen3Moe() {
  DecoderFamily r = row("Qwen3MoeForCausalLM");
  r.kvHeads = 4;
  r.headNorm = HeadNorm::Shared;
  r.windows = {WindowStyle::All, 4096, true};
  r.experts = &kQwen3Experts;
  static const StringRef ignored[] = {"max_window_layers"};
  r.ignored = ignored;
  r.adjust = adjustQwenMoe;
  return r;
}

DecoderFamily rows::granite() {
  DecoderFamily r = llama();
  r.architecture = "GraniteForCausalLM";
  r.adjust = adjustGranite;
  return r;
}

DecoderFamily rows::smolLm3() {
  DecoderFamily r = llama();
  r.architecture = "SmolLM3ForCausalLM";
  r.kvHeads = 4;
  r.tied.otherwise = true;
  r.windows = {WindowStyle::AllOrListed, 0, true};
  r.rope.theta = 2e6;
  static const StringRef ignored[] = {"max_window_layers"};
  r.ignored = ignored;
  r.adjust = adjustSmolLm3;
  return r;
}

DecoderFamily rows::olmo() {
  DecoderFamily r = row("OlmoForCausalLM");
  r.keys.epsilon = "";
  r.epsilon = 1e-5;
  r.norm = {NormKind::Layer, false, false};
  r.adjust = adjustOlmo;
  return r;
}

DecoderFamily rows::olmo2() {
  DecoderFamily r = row("Olmo2ForCausalLM");
  r.epsilon = 1e-5;
  r.attentionNorm = r.mlpNorm = "";
  r.attentionOutputNorm = "model.layers.{}.post_attention_layernorm";
  r.mlpOutputNorm = "model.layers.{}.post_feedforward_layernorm";
  r.headNorm = HeadNorm::Whole;
  return r;
}

DecoderFamily rows::cohere() {
  DecoderFamily r = row("CohereForCausalLM");
  r.keys.epsilon = "layer_norm_eps";
  r.epsilon = 1e-5;
  r.tied.otherwise = true;
  r.norm = r.headNormStyle = kNoBias;
  r.parallel = kAlways;
  r.mlpNorm = "";
  r.rope.form = RopeForm::Pairs;
  r.rope.theta = 5e5;
  r.adjust = adjustCohere;
  return r;
}

DecoderFamily rows::stableLm() {
  DecoderFamily r = row("StableLmForCausalLM");
  r.keys.headDim = "";
  r.keys.epsilon = "layer_norm_eps";
  r.epsilon = 1e-5;
  r.kvHeads = 32;
  r.norm = kLayerNorm;
  r.parallel = {"use_parallel_residual", false};
  r.queryKeyValueBias = {"use_qkv_bias", false};
  r.attentionOutputBias = kNever;
  r.rope.partial = {"partial_rotary_factor", 0.25};
  r.headNormStyle = kNoBias;
  r.queryNorm = "model.layers.{}.self_attn.q_layernorm.norms.{}";
  r.keyNorm = "model.layers.{}.self_attn.k_layernorm.norms.{}";
  r.adjust = adjustStableLm;
  return r;
}

DecoderFamily rows::starcoder2() {
  DecoderFamily r = row("Starcoder2ForCausalLM");
  r.keys.epsilon = "norm_epsilon";
  r.epsilon = 1e-5;
  r.kvHeads = 2;
  r.activation = "gelu_pytorch_tanh";
  r.tied.otherwise = true;
  r.norm = kLayerNorm;
  r.queryKeyValueBias = r.attentionOutputBias = r.mlpBias = {"use_bias", true};
  r.windows = {WindowStyle::All, 0};
  r.gate = "";
  r.up = "model.layers.{}.mlp.c_fc";
  r.down = "model.layers.{}.mlp.c_proj";
  static const StringRef ignored[] = {
      "activation_function", "attention_softmax_in_fp32",
      "layer_norm_epsilon",  "scale_attention_softmax_in_fp32",
      "scale_attn_weights",
  };
  static const Expected expected[] = {{"mlp_type", "\"default\""},
                                      {"norm_type", "\"layer_norm\""}};
  r.ignored = ignored;
  r.expected = expected;
  return r;
}

DecoderFamily rows::phi3() {
  DecoderFamily r = row("Phi3ForCausalLM");
  r.epsilon = 1e-5;
  r.queryKeyValueBias = r.attentionOutputBias = kNever;
  r.windows = {WindowStyle::All, 0};
  r.rope.partial = {"partial_rotary_factor", 1};
  r.rope.originalPositions = 4096;
  r.fusion = Fusion::Rows;
  r.queryKeyValue = "model.layers.{}.self_attn.qkv_proj";
  r.gateUp = "model.layers.{}.mlp.gate_up_proj";
  static const Expected expected[] = {{"full_attn_mod", "1"},
                                      {"interpolate_factor", "1"},
                                      {"lm_head_bias", "false"}};
  r.expected = expected;
  return r;
}

DecoderFamily rows::phi() {
  DecoderFamily r = row("PhiForCausalLM");
  r.keys.epsilon = "layer_norm_eps";
  r.epsilon = 1e-5;
  r.activation = "gelu_new";
  r.norm = r.headNormStyle = kLayerNorm;
  r.parallel = kAlways;
  r.mlpNorm = "";
  r.finalNorm = "model.final_layernorm";
  r.headBias = true;
  r.queryKeyValueBias = r.attentionOutputBias = r.mlpBias = kAlways;
  r.attentionOutput = "model.layers.{}.self_attn.dense";
  r.queryNorm = "model.layers.{}.self_attn.q_layernorm";
  r.keyNorm = "model.layers.{}.self_attn.k_layernorm";
  r.rope.partial = {"partial_rotary_factor", 0.5};
  r.gate = "";
  r.up = "model.layers.{}.mlp.fc1";
  r.down = "model.layers.{}.mlp.fc2";
  r.adjust = adjustPhi;
  return r;
}

//===----------------------------------------------------------------------===//
// Gemma
//===----------------------------------------------------------------------===//

DecoderFamily rows::gemma() {
  DecoderFamily r = row("GemmaForCausalLM");
  r.kvHeads = 16;
  r.headDim = 256;
  r.activation = "gelu_pytorch_tanh";
  r.tied.otherwise = true;
  r.norm = r.headNormStyle = {NormKind::RmsPlusOne, true, false};
  static const StringRef ignored[] = {"hidden_activation"};
  r.ignored = ignored;
  r.adjust = adjustGemma;
  return r;
}

DecoderFamily rows::gemma2() {
  DecoderFamily r = gemma();
  r.architecture = "Gemma2ForCausalLM";
  r.keys.activation = "hidden_activation";
  r.kvHeads = 4;
  r.attentionOutputNorm = "model.layers.{}.post_attention_layernorm";
  r.mlpNorm = "model.layers.{}.pre_feedforward_layernorm";
  r.mlpOutputNorm = "model.layers.{}.post_feedforward_layernorm";
  r.windows = {WindowStyle::EveryOther, 4096};
  // The second is another name of sliding_window beside it.
  static const StringRef ignored[] = {"hidden_act", "sliding_window_size"};
  r.ignored = ignored;
  r.adjust = adjustGemma2;
  return r;
}

DecoderFamily rows::gemma3() {
  DecoderFamily r = gemma2();
  r.architecture = "Gemma3ForCausalLM";
  r.headNorm = HeadNorm::Shared;
  r.windows.layers = WindowStyle::AllButEachNth;
  // The pattern stands beside layer_types, which say what came of it; the cap
  // is read and not used.
  static const StringRef ignored[] = {"_sliding_window_pattern",
                                      "attn_logit_softcapping", "hidden_act"};
  r.ignored = ignored;
  r.rope.used = false; // a table for each kind of layer: adjustGemma3
  r.adjust = adjustGemma3;
  return r;
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

static const ExpertFamily kDeepseekExperts = [] {
  ExpertFamily r = kQwen3Experts;
  r.scores = ExpertFamily::Sigmoid;
  r.normalized = {"norm_topk_prob", true};
  r.countKeys = "n_routed_experts|num_local_experts";
  r.choiceBias = "model.layers.{}.mlp.gate.e_score_correction_bias";
  r.sharedGate = "model.layers.{}.mlp.shared_experts.gate_proj";
  r.sharedUp = "model.layers.{}.mlp.shared_experts.up_proj";
  r.sharedDown = "model.layers.{}.mlp.shared_experts.down_proj";
  return r;
}();

static const DecoderFamily::Latent kDeepseekLatent = {
    "model.layers.{}.self_attn.q_a_proj",
    "model.layers.{}.self_attn.q_a_layernorm",
    "model.layers.{}.self_attn.q_b_proj",
    "model.layers.{}.self_attn.kv_a_proj_with_mqa",
    "model.layers.{}.self_attn.kv_a_layernorm",
    "model.layers.{}.self_attn.kv_b_proj",
};

DecoderFamily rows::deepseekV3() {
  DecoderFamily r = row("DeepseekV3ForCausalLM");
  // Only this part of a head turns.
  r.keys.headDim = "qk_rope_head_dim";
  r.headDim = 64;
  r.latent = &kDeepseekLatent;
  r.experts = &kDeepseekExperts;
  // Both sizes are sums of others; training; a second head that predicts
  // further tokens.
  static const StringRef ignored[] = {
      "aux_loss_alpha",           "ep_size",     "head_dim", "num_mtp_layers",
      "num_nextn_predict_layers", "qk_head_dim", "seq_aux",
  };
  static const Expected expected[] = {{"moe_layer_freq", "1"},
                                      {"scoring_func", "\"sigmoid\""},
                                      {"topk_method", "\"noaux_tc\""}};
  r.ignored = ignored;
  r.expected = expected;
  r.adjust = adjustDeepseekV3;
  return r;
}

static const ExpertFamily kGptOssExperts = [] {
  ExpertFamily r;
  r.scores = ExpertFamily::SoftmaxOfChosen;
  r.normalized = kNever;
  r.countKeys = "num_local_experts|num_experts";
  r.widthKey = "intermediate_size";
  r.router = "model.layers.{}.mlp.router";
  r.routerBias = true;
  r.gate = "model.layers.{}.mlp.experts.gate_up_proj";
  r.down = "model.layers.{}.mlp.experts.down_proj";
  r.stacked = true;
  return r;
}();

DecoderFamily rows::gptOss() {
  DecoderFamily r = row("GptOssForCausalLM");
  r.kvHeads = 8;
  r.headDim = 64;
  r.epsilon = 1e-5;
  r.queryKeyValueBias.otherwise = r.attentionOutputBias.otherwise = true;
  r.windows = {WindowStyle::EveryOther, 128};
  r.rope.theta = 150000;
  r.sinks = "model.layers.{}.self_attn.sinks";
  r.experts = &kGptOssExperts;
  // Old names of num_experts_per_tok and of the length before scaling.
  static const StringRef ignored[] = {"experts_per_token",
                                      "initial_context_length"};
  r.ignored = ignored;
  r.adjust = adjustGptOss;
  return r;
}
