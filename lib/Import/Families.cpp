//===- Families.cpp - Families of encoders as rows of data ----------------===//

#include "Families.h"

using namespace tpc;

/// The layers of BERT, which its descendants kept; they differ in positions
/// and in the names of the language-model head.
static EncoderFamily bertLike(llvm::StringLiteral modelType,
                              Positions positions,
                              llvm::StringLiteral headDense,
                              llvm::StringLiteral headNorm,
                              llvm::StringLiteral headBias) {
  return {
      modelType,
      positions,
      "embeddings.word_embeddings",
      "embeddings.position_embeddings",
      "embeddings.token_type_embeddings",
      "embeddings.LayerNorm",
      "encoder.layer.{}.attention.self.query",
      "encoder.layer.{}.attention.self.key",
      "encoder.layer.{}.attention.self.value",
      "encoder.layer.{}.attention.output.dense",
      "encoder.layer.{}.attention.output.LayerNorm",
      "encoder.layer.{}.intermediate.dense",
      "encoder.layer.{}.output.dense",
      "encoder.layer.{}.output.LayerNorm",
      "pooler.dense",
      headDense,
      headNorm,
      headBias,
  };
}

static const EncoderFamily kEncoders[] = {
    bertLike("bert", Positions::FromZero, "cls.predictions.transform.dense",
             "cls.predictions.transform.LayerNorm", "cls.predictions.bias"),
    bertLike("roberta", Positions::CountTokensPastPad, "lm_head.dense",
             "lm_head.layer_norm", "lm_head.bias"),
};

static const Architecture kArchitectures[] = {
    {"BertModel", "bert", "", Head::None, true},
    {"BertForMaskedLM", "bert", "bert.", Head::MaskedLanguageModel, false},
    {"RobertaModel", "roberta", "", Head::None, true},
    {"RobertaForMaskedLM", "roberta", "roberta.", Head::MaskedLanguageModel,
     false},
};

llvm::ArrayRef<EncoderFamily> tpc::encoderFamilies() { return kEncoders; }
llvm::ArrayRef<Architecture> tpc::architectures() { return kArchitectures; }
