//===- Families.cpp - Families of models as rows of data ------------------===//

#include "Families.h"

using namespace tpc;

static const EncoderFamily kEncoders[] = {
    {
        "bert",
        Positions::FromZero,
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
        "cls.predictions.transform.dense",
        "cls.predictions.transform.LayerNorm",
        "cls.predictions.bias",
    },
    {
        "roberta",
        Positions::CountTokensPastPad,
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
        "lm_head.dense",
        "lm_head.layer_norm",
        "lm_head.bias",
    },
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
