//===- ConfigKeys.cpp - Keys of config.json without effect ----------------===//
//
// What training, text generation, bookkeeping and other tasks leave in a
// config.json. A key stands here only if it cannot change the outputs of any
// family; what only some families do not read stands with those.
//
//===----------------------------------------------------------------------===//

#include "ConfigKeys.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

static const llvm::StringRef kKeys[] = {
    // Where the file comes from, and who reads it.
    "_attn_implementation", "_commit_hash", "_name_or_path", "model_max_length",
    "attn_implementation", "auto_map", "experts_implementation", "model_type",
    "name_or_path", "tokenizer_class", "torchscript", "transformers_version",
    "transformers.js_config", "unsloth_fixed", "unsloth_version",
    // Which outputs are wanted, and how they are computed.
    "cache_implementation", "chunk_size_feed_forward", "output_attentions",
    "output_hidden_states", "output_past", "output_router_logits",
    "pretraining_tp", "return_dict", "use_bfloat16", "use_cache",
    // The old name of `dtype`, where both are there.
    "torch_dtype",
    // Training.
    "activation_dropout", "attention_dropout", "attention_probs_dropout_prob",
    "attn_pdrop", "classifier_dropout", "dropout", "embd_pdrop",
    "embedding_dropout", "gradient_checkpointing", "hidden_dropout",
    "hidden_dropout_prob", "init_device", "init_std", "initializer_factor",
    "initializer_range", "layerdrop", "resid_pdrop", "residual_dropout",
    "router_aux_loss_coef", "router_jitter_noise", "summary_first_dropout",
    // Special tokens. `pad_token_id` matters where positions are counted from
    // it; those families ask for it.
    "bos_token_id", "decoder_start_token_id", "eos_token_id", "pad_token_id",
    "prefix", "sep_token_id", "unk_token_id",
    // Generating text.
    "bad_words_ids", "begin_suppress_tokens", "diversity_penalty", "do_sample",
    "early_stopping", "encoder_no_repeat_ngram_size",
    "exponential_decay_length_penalty", "forced_bos_token_id",
    "forced_eos_token_id", "length_penalty", "max_length", "max_new_tokens",
    "min_length", "no_repeat_ngram_size", "num_beam_groups", "num_beams",
    "num_return_sequences", "output_scores", "remove_invalid_values",
    "repetition_penalty", "return_dict_in_generate", "suppress_tokens",
    "temperature", "top_k", "top_p", "typical_p",
    // Other tasks' heads.
    "directionality", "finetuning_task", "id2label", "label2id", "num_labels",
    "pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
    "pooler_size_per_head", "pooler_type", "problem_type", "summary_activation",
    "summary_proj_to_labels", "summary_type", "summary_use_proj",
    "task_specific_params"};

llvm::ArrayRef<llvm::StringRef> tpc::keysWithoutEffect() { return kKeys; }

static const std::pair<llvm::StringRef, llvm::StringRef> kValues[] = {
    {"add_cross_attention", "false"}, {"alibi", "false"},
    {"attention_bias", "false"},      {"is_decoder", "false"},
    {"is_encoder_decoder", "false"},  {"mlp_bias", "false"},
    {"mlp_only_layers", "[]"},        {"partial_rotary_factor", "1.0"},
    {"pruned_heads", "{}"},           {"qk_layernorm", "false"},
    {"tie_encoder_decoder", "false"}, {"use_bidirectional_attention", "false"},
    {"use_mrope", "false"},           {"use_qk_norm", "false"},
    {"use_sliding_window", "false"},
};

llvm::ArrayRef<std::pair<llvm::StringRef, llvm::StringRef>>
tpc::valuesWithoutEffect() {
  return kValues;
}
