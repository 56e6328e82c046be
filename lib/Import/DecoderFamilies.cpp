//===- DecoderFamilies.cpp - The rows of decoder families -----------------===//
//
// Each row states what differs from the defaults (DecoderFamily.h), by
// transformers 5.23, whose names and defaults these are. Rows with an `adjust`
// that is more than a few lines stand in DecoderVariants.cpp.
//
//===----------------------------------------------------------------------===//

#include "DecoderFamily.h"
#include "DecoderVariants.h"

using namespace tpc;
using llvm::StringRef;

namespace {

DecoderFamily row(StringRef architecture) {
  DecoderFamily row;
  row.architecture = architecture;
  return row;
}

constexpr Flag kAlways = {"", true};
constexpr Flag kNever = {"", false};
constexpr NormStyle kLayerNorm = {NormKind::Layer, true, true};
constexpr NormStyle kNoBias = {NormKind::Layer, true, false};

using Expected = std::pair<StringRef, StringRef>;

//===----------------------------------------------------------------------===//
// Llama and those that kept its layers
//===----------------------------------------------------------------------===//

DecoderFamily llama() {
  DecoderFamily r = row("LlamaForCausalLM");
  r.mlpBias = {"mlp_bias", false};
  return r;
}

DecoderFamily mistral() {
  DecoderFamily r = row("MistralForCausalLM");
  r.kvHeads = 8;
  r.queryKeyValueBias = r.attentionOutputBias = kNever;
  r.windows = {WindowStyle::All, 4096};
  return r;
}

const ExpertFamily kMixtralExperts = [] {
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

DecoderFamily mixtral() {
  DecoderFamily r = mistral();
  r.architecture = "MixtralForCausalLM";
  r.epsilon = 1e-5;
  r.rope.theta = 1e6;
  r.windows.otherwise = 0;
  r.experts = &kMixtralExperts;
  return r;
}

DecoderFamily qwen2() {
  DecoderFamily r = row("Qwen2ForCausalLM");
  r.kvHeads = 32;
  r.queryKeyValueBias = kAlways;
  r.attentionOutputBias = kNever;
  r.windows = {WindowStyle::FromMaxLayer, 4096, true};
  return r;
}

DecoderFamily qwen3() {
  DecoderFamily r = row("Qwen3ForCausalLM");
  r.kvHeads = 32;
  r.headDim = 128;
  r.headNorm = HeadNorm::Shared;
  r.windows = {WindowStyle::FromMaxLayer, 4096, true};
  return r;
}

const ExpertFamily kQwen3Experts = [] {
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

const ExpertFamily kQwen2Experts = [] {
  ExpertFamily r = kQwen3Experts;
  r.sharedGate = "model.layers.{}.mlp.shared_expert.gate_proj";
  r.sharedUp = "model.layers.{}.mlp.shared_expert.up_proj";
  r.sharedDown = "model.layers.{}.mlp.shared_expert.down_proj";
  r.sharedSwitch = "model.layers.{}.mlp.shared_expert_gate";
  return r;
}();

DecoderFamily qwen2Moe() {
  DecoderFamily r = row("Qwen2MoeForCausalLM");
  r.kvHeads = 16;
  r.queryKeyValueBias = {"qkv_bias", true};
  r.attentionOutputBias = kNever;
  r.windows = {WindowStyle::EveryOtherBelow, 4096, true};
  r.experts = &kQwen2Experts;
  r.adjust = adjustQwenMoe;
  return r;
}

DecoderFamily qwen3Moe() {
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

DecoderFamily granite() {
  DecoderFamily r = llama();
  r.architecture = "GraniteForCausalLM";
  r.adjust = adjustGranite;
  return r;
}

DecoderFamily smolLm3() {
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

DecoderFamily olmo() {
  DecoderFamily r = row("OlmoForCausalLM");
  r.keys.epsilon = "";
  r.epsilon = 1e-5;
  r.norm = {NormKind::Layer, false, false};
  r.adjust = adjustOlmo;
  return r;
}

DecoderFamily olmo2() {
  DecoderFamily r = row("Olmo2ForCausalLM");
  r.epsilon = 1e-5;
  r.attentionNorm = r.mlpNorm = "";
  r.attentionOutputNorm = "model.layers.{}.post_attention_layernorm";
  r.mlpOutputNorm = "model.layers.{}.post_feedforward_layernorm";
  r.headNorm = HeadNorm::Whole;
  return r;
}

DecoderFamily cohere() {
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

DecoderFamily stableLm() {
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

DecoderFamily starcoder2() {
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

DecoderFamily phi3() {
  DecoderFamily r = row("Phi3ForCausalLM");
  r.epsilon = 1e-5;
  r.queryKeyValueBias = r.attentionOutputBias = kNever;
  r.windows = {WindowStyle::All, 0};
  r.rope.partial = {"partial_rotary_factor", 1};
  r.rope.originalPositions = 4096;
  r.fusion = Fusion::Rows;
  r.queryKeyValue = "model.layers.{}.self_attn.qkv_proj";
  r.gateUp = "model.layers.{}.mlp.gate_up_proj";
  return r;
}

DecoderFamily phi() {
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

DecoderFamily gemma() {
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

DecoderFamily gemma2() {
  DecoderFamily r = gemma();
  r.architecture = "Gemma2ForCausalLM";
  r.keys.activation = "hidden_activation";
  r.kvHeads = 4;
  r.attentionOutputNorm = "model.layers.{}.post_attention_layernorm";
  r.mlpNorm = "model.layers.{}.pre_feedforward_layernorm";
  r.mlpOutputNorm = "model.layers.{}.post_feedforward_layernorm";
  r.windows = {WindowStyle::EveryOther, 4096};
  static const StringRef ignored[] = {"hidden_act"};
  r.ignored = ignored;
  r.adjust = adjustGemma2;
  return r;
}

DecoderFamily gemma3() {
  DecoderFamily r = gemma2();
  r.architecture = "Gemma3ForCausalLM";
  r.headNorm = HeadNorm::Shared;
  r.windows.layers = WindowStyle::AllButEachNth;
  r.rope.used = false; // a table for each kind of layer: adjustGemma3
  r.adjust = adjustGemma3;
  return r;
}

//===----------------------------------------------------------------------===//
// GPT-2 and those that kept its layers
//===----------------------------------------------------------------------===//

DecoderFamily gpt2Keys(StringRef architecture) {
  DecoderFamily r = row(architecture);
  r.keys = {"n_embd|hidden_size",
            "n_layer|num_hidden_layers",
            "n_head|num_attention_heads",
            "",
            "",
            "n_inner",
            "activation_function",
            "layer_norm_epsilon",
            "n_positions|max_position_embeddings"};
  r.fourfold = true;
  r.activation = "gelu_new";
  r.epsilon = 1e-5;
  r.norm = kLayerNorm;
  r.wordEmbedding = "transformer.wte";
  r.finalNorm = "transformer.ln_f";
  r.attention = "transformer.h.{}.attn";
  r.attentionNorm = "transformer.h.{}.ln_1";
  r.gate = "";
  // How attention is computed, and an old name of n_positions.
  static const StringRef ignored[] = {"n_ctx", "reorder_and_upcast_attn"};
  r.ignored = ignored;
  return r;
}

DecoderFamily gpt2() {
  DecoderFamily r = gpt2Keys("GPT2LMHeadModel");
  r.positions = 1024;
  r.tied.otherwise = true;
  r.positionEmbedding = "transformer.wpe";
  r.rope.used = false;
  r.mlpNorm = "transformer.h.{}.ln_2";
  r.queryKeyValueBias = r.attentionOutputBias = r.mlpBias = kAlways;
  r.fusion = Fusion::Rows;
  r.queryKeyValue = "transformer.h.{}.attn.c_attn";
  r.attentionOutput = "transformer.h.{}.attn.c_proj";
  r.up = "transformer.h.{}.mlp.c_fc";
  r.down = "transformer.h.{}.mlp.c_proj";
  r.transposed = true;
  r.adjust = adjustGpt2;
  return r;
}

DecoderFamily gptJ() {
  DecoderFamily r = gpt2Keys("GPTJForCausalLM");
  r.headBias = true;
  r.parallel = kAlways;
  r.mlpNorm = "";
  r.queryKeyValueBias = r.attentionOutputBias = kNever;
  r.mlpBias = kAlways;
  r.rope.used = false; // by rotary_dim: adjustGptJ
  r.rope.form = RopeForm::Pairs;
  r.query = "transformer.h.{}.attn.q_proj";
  r.key = "transformer.h.{}.attn.k_proj";
  r.value = "transformer.h.{}.attn.v_proj";
  r.attentionOutput = "transformer.h.{}.attn.out_proj";
  r.up = "transformer.h.{}.mlp.fc_in";
  r.down = "transformer.h.{}.mlp.fc_out";
  static const Expected expected[] = {{"rotary", "true"},
                                      {"scale_attn_weights", "true"}};
  r.expected = expected;
  r.adjust = adjustGptJ;
  return r;
}

DecoderFamily gptNeoX() {
  DecoderFamily r = row("GPTNeoXForCausalLM");
  r.keys.kvHeads = r.keys.headDim = "";
  r.keys.epsilon = "layer_norm_eps";
  r.epsilon = 1e-5;
  r.activation = "gelu";
  r.wordEmbedding = "gpt_neox.embed_in";
  r.finalNorm = "gpt_neox.final_layer_norm";
  r.head = "embed_out";
  r.norm = kLayerNorm;
  r.parallel = {"use_parallel_residual", true};
  r.attentionNorm = "gpt_neox.layers.{}.input_layernorm";
  r.mlpNorm = "gpt_neox.layers.{}.post_attention_layernorm";
  r.queryKeyValueBias.otherwise = r.attentionOutputBias.otherwise = true;
  r.mlpBias = kAlways;
  r.rope.thetaKey = "rotary_emb_base";
  r.rope.partial = {"rotary_pct", 0.25};
  r.fusion = Fusion::Groups;
  r.attention = "gpt_neox.layers.{}.attention";
  r.queryKeyValue = "gpt_neox.layers.{}.attention.query_key_value";
  r.attentionOutput = "gpt_neox.layers.{}.attention.dense";
  r.gate = "";
  r.up = "gpt_neox.layers.{}.mlp.dense_h_to_4h";
  r.down = "gpt_neox.layers.{}.mlp.dense_4h_to_h";
  static const StringRef ignored[] = {"is_decoder"};
  r.ignored = ignored;
  return r;
}

DecoderFamily opt() {
  DecoderFamily r = row("OPTForCausalLM");
  r.keys.kvHeads = r.keys.headDim = r.keys.epsilon = "";
  r.keys.intermediate = "ffn_dim";
  r.keys.activation = "activation_function";
  r.positions = 2048;
  r.epsilon = 1e-5;
  r.activation = "relu";
  r.tied.otherwise = true;
  r.wordEmbedding = "model.decoder.embed_tokens";
  r.positionEmbedding = "model.decoder.embed_positions";
  r.positionOffset = 2;
  r.finalNorm = "model.decoder.final_layer_norm";
  r.norm = kLayerNorm;
  r.attentionNorm = "model.decoder.layers.{}.self_attn_layer_norm";
  r.mlpNorm = "model.decoder.layers.{}.final_layer_norm";
  r.queryKeyValueBias = r.attentionOutputBias =
      r.mlpBias = {"enable_bias", true};
  r.rope.used = false;
  r.attention = "model.decoder.layers.{}.self_attn";
  r.query = "model.decoder.layers.{}.self_attn.q_proj";
  r.key = "model.decoder.layers.{}.self_attn.k_proj";
  r.value = "model.decoder.layers.{}.self_attn.v_proj";
  r.attentionOutput = "model.decoder.layers.{}.self_attn.out_proj";
  r.gate = "";
  r.up = "model.decoder.layers.{}.fc1";
  r.down = "model.decoder.layers.{}.fc2";
  r.adjust = adjustOpt;
  return r;
}

DecoderFamily bloomNames(StringRef architecture) {
  DecoderFamily r = row(architecture);
  r.keys.headDim = "";
  r.keys.epsilon = "layer_norm_epsilon";
  r.epsilon = 1e-5;
  r.tied.otherwise = true;
  r.wordEmbedding = "transformer.word_embeddings";
  r.finalNorm = "transformer.ln_f";
  r.norm = kLayerNorm;
  r.attentionNorm = "transformer.h.{}.input_layernorm";
  r.mlpNorm = "transformer.h.{}.post_attention_layernorm";
  r.fusion = Fusion::Groups;
  r.attention = "transformer.h.{}.self_attention";
  r.queryKeyValue = "transformer.h.{}.self_attention.query_key_value";
  r.attentionOutput = "transformer.h.{}.self_attention.dense";
  r.gate = "";
  r.up = "transformer.h.{}.mlp.dense_h_to_4h";
  r.down = "transformer.h.{}.mlp.dense_4h_to_h";
  return r;
}

DecoderFamily bloom() {
  DecoderFamily r = bloomNames("BloomForCausalLM");
  r.keys.hidden = "hidden_size|n_embed";
  r.keys.layers = "n_layer|num_hidden_layers";
  r.keys.heads = "n_head|num_attention_heads";
  r.keys.kvHeads = r.keys.intermediate = r.keys.activation = "";
  r.keys.positions = "";
  r.fourfold = true;
  r.activation = "gelu_pytorch_tanh";
  r.embeddingNorm = "transformer.word_embeddings_layernorm";
  r.residualFromNorm = {"apply_residual_connection_post_layernorm", false};
  r.queryKeyValueBias = r.attentionOutputBias = r.mlpBias = kAlways;
  r.rope.used = false;
  // How the original training code computed it; ALiBi has no length.
  static const StringRef ignored[] = {
      "attention_softmax_in_fp32",
      "bias_dropout_fusion",
      "masked_softmax_fusion",
      "offset_alibi",
      "seq_length",
      "skip_bias_add",
      "skip_bias_add_qkv",
      "slow_but_exact",
  };
  r.ignored = ignored;
  r.adjust = adjustBloom;
  return r;
}

DecoderFamily falcon() {
  DecoderFamily r = bloomNames("FalconForCausalLM");
  r.keys.kvHeads = "num_kv_heads";
  r.keys.intermediate = "ffn_hidden_size";
  r.keys.activation = "activation";
  r.positions = 2048;
  r.fourfold = true;
  r.activation = "gelu";
  r.queryKeyValueBias = r.attentionOutputBias = r.mlpBias = {"bias", false};
  static const Expected expected[] = {
      {"apply_residual_connection_post_layernorm", "false"}};
  r.expected = expected;
  r.adjust = adjustFalcon;
  return r;
}

DecoderFamily mpt() {
  DecoderFamily r = row("MptForCausalLM");
  r.keys = {"d_model|hidden_size",
            "n_layers|num_hidden_layers",
            "n_heads|num_attention_heads",
            "",
            "",
            "",
            "",
            "layer_norm_epsilon",
            ""};
  r.fourfold = true;
  r.activation = "gelu";
  r.epsilon = 1e-5;
  r.tied.otherwise = true;
  r.wordEmbedding = "transformer.wte";
  r.finalNorm = "transformer.norm_f";
  r.norm = kNoBias;
  r.attentionNorm = "transformer.blocks.{}.norm_1";
  r.mlpNorm = "transformer.blocks.{}.norm_2";
  r.queryKeyValueBias = r.attentionOutputBias = kNever;
  r.rope.used = false;
  r.fusion = Fusion::Rows;
  r.attention = "transformer.blocks.{}.attn";
  r.queryKeyValue = "transformer.blocks.{}.attn.Wqkv";
  r.attentionOutput = "transformer.blocks.{}.attn.out_proj";
  r.gate = "";
  r.up = "transformer.blocks.{}.ffn.up_proj";
  r.down = "transformer.blocks.{}.ffn.down_proj";
  static const StringRef ignored[] = {
      "emb_pdrop",
      "embedding_fraction",
      "expansion_ratio",
      "init_config",
      "learned_pos_emb",
      "logit_scale",
      "max_seq_len",
      "no_bias",
      "norm_type",
      "tokenizer_name",
      "verbose",
      "attn_config.alibi",
      "attn_config.alibi_bias_max",
      "attn_config.attn_impl",
      "attn_config.attn_pdrop",
      "attn_config.attn_type",
      "attn_config.attn_uses_sequence_id",
      "attn_config.model_type",
      "attn_config.prefix_lm",
      "attn_config.qk_ln",
  };
  r.ignored = ignored;
  r.adjust = adjustMpt;
  return r;
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

const ExpertFamily kDeepseekExperts = [] {
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

const DecoderFamily::Latent kDeepseekLatent = {
    "model.layers.{}.self_attn.q_a_proj",
    "model.layers.{}.self_attn.q_a_layernorm",
    "model.layers.{}.self_attn.q_b_proj",
    "model.layers.{}.self_attn.kv_a_proj_with_mqa",
    "model.layers.{}.self_attn.kv_a_layernorm",
    "model.layers.{}.self_attn.kv_b_proj",
};

DecoderFamily deepseekV3() {
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

const ExpertFamily kGptOssExperts = [] {
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

DecoderFamily gptOss() {
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

} // namespace

llvm::ArrayRef<DecoderFamily> tpc::decoderFamilies() {
  static const DecoderFamily rows[] = {
      llama(),    mistral(),  mixtral(),    qwen2(),  qwen3(),      qwen2Moe(),
      qwen3Moe(), gemma(),    gemma2(),     gemma3(), phi(),        phi3(),
      gpt2(),     gptNeoX(),  gptJ(),       opt(),    falcon(),     bloom(),
      mpt(),      stableLm(), olmo(),       olmo2(),  starcoder2(), granite(),
      cohere(),   smolLm3(),  deepseekV3(), gptOss()};
  return rows;
}
