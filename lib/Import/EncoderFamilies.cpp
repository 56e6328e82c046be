//===- EncoderFamilies.cpp - Families of encoders as rows of data ---------===//

#include "EncoderFamilies.h"

using namespace tpc;

//===----------------------------------------------------------------------===//
// Layers
//===----------------------------------------------------------------------===//

static const LayerKeys kBertKeys = {"hidden_size",         "num_hidden_layers",
                                    "num_attention_heads", "intermediate_size",
                                    "hidden_act",          "layer_norm_eps"};

static const LayerForm kBertLayers = {
    NormPlace::AfterSum,
    StackNorm::Layer,
    {"encoder.layer.{}.attention.self.query",
     "encoder.layer.{}.attention.self.key",
     "encoder.layer.{}.attention.self.value",
     "encoder.layer.{}.attention.output.dense",
     "encoder.layer.{}.attention.output.LayerNorm"},
    "encoder.layer.{}.intermediate.dense",
    "encoder.layer.{}.output.dense",
    "encoder.layer.{}.output.LayerNorm",
};

static TokenEmbedding bertEmbedding(Positions positions) {
  return {positions, "embeddings.word_embeddings",
          "embeddings.position_embeddings", "embeddings.LayerNorm",
          "embeddings.token_type_embeddings"};
}
static const TokenEmbedding kBertEmbedding = bertEmbedding(Positions::FromZero);
static const TokenEmbedding kRobertaEmbedding =
    bertEmbedding(Positions::CountTokensPastPad);

static TokenEmbedding projected(TokenEmbedding embedding,
                                llvm::StringLiteral width,
                                llvm::StringLiteral projection) {
  embedding.width = width;
  embedding.projection = projection;
  return embedding;
}
static const TokenEmbedding kElectraEmbedding =
    projected(kBertEmbedding, "embedding_size", "embeddings_project");

static const TokenEmbedding kDistilBertEmbedding = {
    Positions::FromZero,
    "embeddings.word_embeddings",
    "embeddings.position_embeddings",
    "embeddings.LayerNorm",
};

static const PatchEmbedding kViTEmbedding = {
    "embeddings.patch_embeddings.projection", "embeddings.cls_token",
    "embeddings.position_embeddings"};

static const llvm::StringRef kElectraIgnored[] = {"summary_last_dropout"};
/// Sinusoids are stored like any positions.
static const llvm::StringRef kDistilBertIgnored[] = {
    "sinusoidal_pos_embds", "qa_dropout", "seq_classif_dropout",
    "tie_weights_"};
/// The first is of masked images; a head reads the others where it has a
/// pooler.
static const llvm::StringRef kViTIgnored[] = {"encoder_stride", "pooler_act",
                                              "pooler_output_size"};

static const EncoderFamily kBert = {kBertKeys,       "", kBertLayers,
                                    &kBertEmbedding, {}, ""};
static const EncoderFamily kRoberta = {kBertKeys,          "", kBertLayers,
                                       &kRobertaEmbedding, {}, ""};
static const EncoderFamily kElectra = {
    kBertKeys, "", kBertLayers, &kElectraEmbedding, {}, "", kElectraIgnored};

static const EncoderFamily kDistilBert = {
    {"dim", "n_layers", "n_heads", "hidden_dim", "activation"},
    "",
    {NormPlace::AfterSum,
     StackNorm::Layer,
     {"transformer.layer.{}.attention.q_lin",
      "transformer.layer.{}.attention.k_lin",
      "transformer.layer.{}.attention.v_lin",
      "transformer.layer.{}.attention.out_lin",
      "transformer.layer.{}.sa_layer_norm"},
     "transformer.layer.{}.ffn.lin1",
     "transformer.layer.{}.ffn.lin2",
     "transformer.layer.{}.output_layer_norm"},
    &kDistilBertEmbedding,
    {},
    "",
    kDistilBertIgnored};

static const EncoderFamily kViT = {
    {"hidden_size", "num_hidden_layers", "num_attention_heads",
     "intermediate_size", "hidden_act", "layer_norm_eps",
     /*defaultEpsilon=*/1e-12, "head_dim"},
    "qkv_bias",
    {NormPlace::BeforePart,
     StackNorm::Layer,
     {"encoder.layer.{}.attention.attention.query",
      "encoder.layer.{}.attention.attention.key",
      "encoder.layer.{}.attention.attention.value",
      "encoder.layer.{}.attention.output.dense",
      "encoder.layer.{}.layernorm_before"},
     "encoder.layer.{}.intermediate.dense",
     "encoder.layer.{}.output.dense",
     "encoder.layer.{}.layernorm_after"},
    {},
    &kViTEmbedding,
    "layernorm",
    kViTIgnored};

//===----------------------------------------------------------------------===//
// Heads
//===----------------------------------------------------------------------===//

static Head tokens(llvm::StringLiteral output, HeadRows rows,
                   llvm::StringLiteral projection) {
  Head head{output};
  head.rows = rows;
  head.projection = projection;
  return head;
}

static Head firstToken(Head head) {
  head.first = true;
  return head;
}

static Head withDense(Head head, llvm::StringLiteral dense,
                      llvm::StringLiteral activation,
                      llvm::StringLiteral norm = "") {
  head.dense = dense;
  head.activation = activation;
  head.norm = norm;
  return head;
}

static Head withSharedBias(Head head, llvm::StringLiteral bias) {
  head.sharedBias = bias;
  return head;
}

static Head withWidth(Head head, llvm::StringLiteral key) {
  head.denseWidth = key;
  return head;
}

static Head withActivationKey(Head head, llvm::StringLiteral key) {
  head.activationKey = key;
  return head;
}

static const Head kStates = {"last_hidden_state"};
static const Head kTokenLabels =
    tokens("logits", HeadRows::Labels, "classifier");
static const Head kFirstLabels = firstToken(kTokenLabels);
static const Head kBertPooler =
    firstToken(withDense({"pooler_output"}, "pooler.dense", "tanh"));

static const Head kBareStates[] = {kStates};
static const Head kPooledStates[] = {kStates, kBertPooler};
static const Head kTokenClassification[] = {kTokenLabels};
static const Head kQuestionAnswering[] = {
    tokens("start_logits", HeadRows::FirstOfTwo, "qa_outputs"),
    tokens("end_logits", HeadRows::SecondOfTwo, "qa_outputs"),
};

/// A projection of what the pooler gives.
static Head ofPooler(Head head, llvm::StringLiteral prefixed) {
  return firstToken(withDense(head, prefixed, "tanh"));
}

static const Head kBertWords = withSharedBias(
    withDense(tokens("logits", HeadRows::Words, "cls.predictions.decoder"),
              "cls.predictions.transform.dense", "",
              "cls.predictions.transform.LayerNorm"),
    "cls.predictions.bias");
static const Head kBertMaskedLM[] = {kBertWords};
static const Head kBertNextSentence[] = {
    ofPooler(tokens("logits", HeadRows::Two, "cls.seq_relationship"),
             "bert.pooler.dense")};
static const Head kBertClassification[] = {
    ofPooler(kTokenLabels, "bert.pooler.dense")};

static const Head kRobertaMaskedLM[] = {withSharedBias(
    withDense(tokens("logits", HeadRows::Words, "lm_head.decoder"),
              "lm_head.dense", "gelu", "lm_head.layer_norm"),
    "lm_head.bias")};
static const Head kRobertaClassification[] = {firstToken(
    withDense(tokens("logits", HeadRows::Labels, "classifier.out_proj"),
              "classifier.dense", "tanh"))};

static const Head kElectraMaskedLM[] = {
    withWidth(withDense(tokens("logits", HeadRows::Words, "generator_lm_head"),
                        "generator_predictions.dense", "gelu",
                        "generator_predictions.LayerNorm"),
              "embedding_size")};
static const Head kElectraPreTraining[] = {
    withDense(tokens("logits", HeadRows::One,
                     "discriminator_predictions.dense_prediction"),
              "discriminator_predictions.dense", "")};
static const Head kElectraClassification[] = {firstToken(
    withDense(tokens("logits", HeadRows::Labels, "classifier.out_proj"),
              "classifier.dense", "gelu"))};

static const Head kDistilBertMaskedLM[] = {
    withDense(tokens("logits", HeadRows::Words, "vocab_projector"),
              "vocab_transform", "", "vocab_layer_norm")};
static const Head kDistilBertClassification[] = {
    firstToken(withDense(kTokenLabels, "pre_classifier", "relu"))};

static const Head kViTStates[] = {
    kStates, withWidth(withActivationKey(kBertPooler, "pooler_act"),
                       "pooler_output_size")};
static const Head kImageClassification[] = {kFirstLabels};

//===----------------------------------------------------------------------===//
// Architectures
//===----------------------------------------------------------------------===//

static const EncoderArchitecture kArchitectures[] = {
    {"BertModel", &kBert, "", kPooledStates},
    {"BertForMaskedLM", &kBert, "bert.", kBertMaskedLM},
    {"BertForNextSentencePrediction", &kBert, "bert.", kBertNextSentence},
    {"BertForSequenceClassification", &kBert, "bert.", kBertClassification},
    {"BertForTokenClassification", &kBert, "bert.", kTokenClassification},
    {"BertForQuestionAnswering", &kBert, "bert.", kQuestionAnswering},

    {"RobertaModel", &kRoberta, "", kPooledStates},
    {"RobertaForMaskedLM", &kRoberta, "roberta.", kRobertaMaskedLM},
    {"RobertaForSequenceClassification", &kRoberta, "roberta.",
     kRobertaClassification},
    {"RobertaForTokenClassification", &kRoberta, "roberta.",
     kTokenClassification},
    {"RobertaForQuestionAnswering", &kRoberta, "roberta.", kQuestionAnswering},

    {"ElectraModel", &kElectra, "", kBareStates},
    {"ElectraForPreTraining", &kElectra, "electra.", kElectraPreTraining},
    {"ElectraForMaskedLM", &kElectra, "electra.", kElectraMaskedLM},
    {"ElectraForSequenceClassification", &kElectra, "electra.",
     kElectraClassification},
    {"ElectraForTokenClassification", &kElectra, "electra.",
     kTokenClassification},
    {"ElectraForQuestionAnswering", &kElectra, "electra.", kQuestionAnswering},

    {"DistilBertModel", &kDistilBert, "", kBareStates},
    {"DistilBertForMaskedLM", &kDistilBert, "distilbert.", kDistilBertMaskedLM},
    {"DistilBertForSequenceClassification", &kDistilBert, "distilbert.",
     kDistilBertClassification},
    {"DistilBertForTokenClassification", &kDistilBert, "distilbert.",
     kTokenClassification},
    {"DistilBertForQuestionAnswering", &kDistilBert, "distilbert.",
     kQuestionAnswering},

    {"ViTModel", &kViT, "", kViTStates},
    {"ViTForImageClassification", &kViT, "vit.", kImageClassification},
};

llvm::ArrayRef<EncoderArchitecture> tpc::encoderArchitectures() {
  return kArchitectures;
}
