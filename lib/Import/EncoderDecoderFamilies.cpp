//===- EncoderDecoderFamilies.cpp - Families as rows of data --------------===//

#include "EncoderDecoderFamilies.h"

using namespace tpc;

//===----------------------------------------------------------------------===//
// T5
//===----------------------------------------------------------------------===//

static LayerKeys t5Keys(llvm::StringLiteral layers) {
  return {"d_model",
          layers,
          "num_heads",
          "d_ff",
          "dense_act_fn",
          "layer_norm_epsilon",
          /*defaultEpsilon=*/1e-6,
          "d_kv",
          /*defaultHeadDim=*/64};
}

static const llvm::StringRef kT5Ignored[] = {"is_encoder_decoder", "is_decoder",
                                             "n_positions", "dropout_rate"};

static const EncoderDecoderFamily kT5 = {
    {t5Keys("num_layers"),
     {NormPlace::BeforePart,
      StackNorm::RootMeanSquare,
      {"encoder.block.{}.layer.0.SelfAttention.q",
       "encoder.block.{}.layer.0.SelfAttention.k",
       "encoder.block.{}.layer.0.SelfAttention.v",
       "encoder.block.{}.layer.0.SelfAttention.o",
       "encoder.block.{}.layer.0.layer_norm"},
      "encoder.block.{}.layer.1.DenseReluDense.wi",
      "encoder.block.{}.layer.1.DenseReluDense.wo",
      "encoder.block.{}.layer.1.layer_norm",
      "encoder.block.{}.layer.1.DenseReluDense.wi_0",
      "encoder.block.{}.layer.1.DenseReluDense.wi_1"},
     "encoder.final_layer_norm",
     "encoder.embed_tokens",
     /*positions=*/"",
     "",
     "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"},
    {t5Keys("num_decoder_layers"),
     {NormPlace::BeforePart,
      StackNorm::RootMeanSquare,
      {"decoder.block.{}.layer.0.SelfAttention.q",
       "decoder.block.{}.layer.0.SelfAttention.k",
       "decoder.block.{}.layer.0.SelfAttention.v",
       "decoder.block.{}.layer.0.SelfAttention.o",
       "decoder.block.{}.layer.0.layer_norm"},
      "decoder.block.{}.layer.2.DenseReluDense.wi",
      "decoder.block.{}.layer.2.DenseReluDense.wo",
      "decoder.block.{}.layer.2.layer_norm",
      "decoder.block.{}.layer.2.DenseReluDense.wi_0",
      "decoder.block.{}.layer.2.DenseReluDense.wi_1",
      {"decoder.block.{}.layer.1.EncDecAttention.q",
       "decoder.block.{}.layer.1.EncDecAttention.k",
       "decoder.block.{}.layer.1.EncDecAttention.v",
       "decoder.block.{}.layer.1.EncDecAttention.o",
       "decoder.block.{}.layer.1.layer_norm"}},
     "decoder.final_layer_norm",
     "decoder.embed_tokens",
     /*positions=*/"",
     "",
     "decoder.block.0.layer.0.SelfAttention.relative_attention_bias"},
    /*sound=*/nullptr,
    "shared",
    "lm_head",
    /*isT5=*/true,
    /*biased=*/false,
    kT5Ignored};

//===----------------------------------------------------------------------===//
// Whisper
//===----------------------------------------------------------------------===//

static const SoundEmbedding kWhisperSound = {"encoder.conv1", "encoder.conv2"};

/// Training, marking words in time, classifying sounds; a scale of embeddings
/// that transformers does not use, and what it has under other names.
static const llvm::StringRef kWhisperIgnored[] = {
    "is_encoder_decoder",     "activation_dropout",   "encoder_layerdrop",
    "decoder_layerdrop",      "scale_embedding",      "num_hidden_layers",
    "use_weighted_layer_sum", "classifier_proj_size", "apply_spec_augment",
    "mask_time_prob",         "mask_time_length",     "mask_time_min_masks",
    "mask_feature_prob",      "mask_feature_length",  "mask_feature_min_masks",
    "median_filter_width",    "forced_decoder_ids"};

static const EncoderDecoderFamily kWhisper = {
    {{"d_model", "encoder_layers", "encoder_attention_heads", "encoder_ffn_dim",
      "activation_function", /*epsilon=*/"", 1e-5},
     {NormPlace::BeforePart,
      StackNorm::Layer,
      {"encoder.layers.{}.self_attn.q_proj",
       "encoder.layers.{}.self_attn.k_proj",
       "encoder.layers.{}.self_attn.v_proj",
       "encoder.layers.{}.self_attn.out_proj",
       "encoder.layers.{}.self_attn_layer_norm"},
      "encoder.layers.{}.fc1",
      "encoder.layers.{}.fc2",
      "encoder.layers.{}.final_layer_norm"},
     "encoder.layer_norm",
     /*words=*/"",
     "encoder.embed_positions",
     "max_source_positions"},
    {{"d_model", "decoder_layers", "decoder_attention_heads", "decoder_ffn_dim",
      "activation_function", /*epsilon=*/"", 1e-5},
     {NormPlace::BeforePart,
      StackNorm::Layer,
      {"decoder.layers.{}.self_attn.q_proj",
       "decoder.layers.{}.self_attn.k_proj",
       "decoder.layers.{}.self_attn.v_proj",
       "decoder.layers.{}.self_attn.out_proj",
       "decoder.layers.{}.self_attn_layer_norm"},
      "decoder.layers.{}.fc1",
      "decoder.layers.{}.fc2",
      "decoder.layers.{}.final_layer_norm",
      /*gate=*/"",
      "",
      {"decoder.layers.{}.encoder_attn.q_proj",
       "decoder.layers.{}.encoder_attn.k_proj",
       "decoder.layers.{}.encoder_attn.v_proj",
       "decoder.layers.{}.encoder_attn.out_proj",
       "decoder.layers.{}.encoder_attn_layer_norm"}},
     "decoder.layer_norm",
     "decoder.embed_tokens",
     "decoder.embed_positions",
     "max_target_positions"},
    &kWhisperSound,
    /*sharedWords=*/"",
    "proj_out",
    /*isT5=*/false,
    /*biased=*/true,
    kWhisperIgnored};

//===----------------------------------------------------------------------===//
// Architectures
//===----------------------------------------------------------------------===//

static const EncoderDecoderArchitecture kArchitectures[] = {
    {"T5ForConditionalGeneration", &kT5, "", EncoderDecoderOutput::Logits},
    {"T5Model", &kT5, "", EncoderDecoderOutput::States},
    {"T5EncoderModel", &kT5, "", EncoderDecoderOutput::EncoderStates},
    {"WhisperForConditionalGeneration", &kWhisper, "model.",
     EncoderDecoderOutput::Logits},
    {"WhisperModel", &kWhisper, "", EncoderDecoderOutput::States},
};

llvm::ArrayRef<EncoderDecoderArchitecture> tpc::encoderDecoderArchitectures() {
  return kArchitectures;
}
