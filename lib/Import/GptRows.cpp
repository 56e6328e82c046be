//===- GptRows.cpp - The families before Llama ----------------------------===//

#include "DecoderRows.h"

using namespace tpc;
using namespace tpc::rows;
using llvm::StringRef;

static DecoderFamily gpt2Keys(StringRef architecture) {
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

DecoderFamily rows::gpt2() {
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

DecoderFamily rows::gptJ() {
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

DecoderFamily rows::gptNeoX() {
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

DecoderFamily rows::opt() {
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

static DecoderFamily bloomNames(StringRef architecture) {
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

DecoderFamily rows::bloom() {
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

DecoderFamily rows::falcon() {
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

DecoderFamily rows::mpt() {
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
