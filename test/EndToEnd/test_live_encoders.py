"""Encoders and encoder-decoders with drawn configurations, against
transformers (live.py)."""

import random

import numpy as np
import pytest

from live import Case, check_seeds

ACTIVATIONS = ["gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new",
               "gelu_python", "gelu_python_tanh", "gelu_pytorch_tanh",
               "hardswish", "laplace", "leaky_relu", "linear", "mish",
               "quick_gelu", "relu", "relu2", "relu6", "sigmoid", "silu",
               "sqrtsoftplus", "swish", "tanh"]


class Draw(random.Random):
    def tokens(self, *shape, below):
        return np.array(self.choices(range(below), k=int(np.prod(shape))),
                        np.int64).reshape(shape)

    def floats(self, *shape):
        return np.random.default_rng(self.getrandbits(32)).standard_normal(
            shape).astype(np.float32)

    def heads(self):
        """Heads, and the width of all of them."""
        heads = self.randint(1, 6)
        return heads, heads * self.randint(2, 12)

    def labels(self):
        return {"num_labels": self.randint(1, 5)}

    def padding(self, batch, length):
        """A mask whose rows end in zeros."""
        return np.array([[int(i < n) for i in range(length)] for n in
                         [self.randint(1, length) for _ in range(batch)]])

    def older_spelling(self):
        return {"dtype": None, "torch_dtype": "float32"} \
            if self.random() < 0.5 else {}


def masked_tokens(draw, vocabulary, limit):
    """Tokens, perhaps a mask, and which of them count."""
    batch, length = draw.randint(1, 3), draw.randint(1, min(limit, 14))
    inputs = {"input_ids": draw.tokens(batch, length, below=vocabulary)}
    valid = np.ones((batch, length), bool)
    if draw.random() < 0.6:
        inputs["attention_mask"] = draw.padding(batch, length)
        valid = inputs["attention_mask"].astype(bool)
    return inputs, valid


HEADS = {
    "Model": ["last_hidden_state"],
    "ForMaskedLM": ["logits"],
    "ForSequenceClassification": ["logits"],
    "ForTokenClassification": ["logits"],
    "ForQuestionAnswering": ["start_logits", "end_logits"],
}


def bert_like(draw):
    family = draw.choice(["Bert", "Roberta", "Electra"])
    own = {"Bert": ["ForNextSentencePrediction"],
           "Electra": ["ForPreTraining"]}
    head = draw.choice([*HEADS, *own.get(family, [])])
    heads, hidden = draw.heads()
    vocabulary, pad = draw.randint(5, 90), draw.randint(0, 3)
    config = {
        "vocab_size": vocabulary, "hidden_size": hidden,
        "num_hidden_layers": draw.randint(1, 3), "num_attention_heads": heads,
        "intermediate_size": draw.randint(1, 70),
        "hidden_act": draw.choice(ACTIVATIONS),
        "max_position_embeddings": 14 + pad + 1,
        "type_vocab_size": draw.randint(1, 3), "pad_token_id": pad,
        "layer_norm_eps": draw.choice([1e-12, 1e-5, 1e-2]),
    }
    if head in ("ForSequenceClassification", "ForTokenClassification"):
        config.update(draw.labels())
    if family == "Electra":
        config["embedding_size"] = draw.choice([hidden, draw.randint(2, 40)])
    if head == "ForMaskedLM":
        config["tie_word_embeddings"] = draw.random() < 0.6
    inputs, valid = masked_tokens(draw, vocabulary, 14)
    if draw.random() < 0.5:
        inputs["token_type_ids"] = draw.tokens(
            *inputs["input_ids"].shape, below=config["type_vocab_size"])
    outputs = HEADS.get(head, ["logits"])
    if head == "Model" and family != "Electra":
        outputs = [*outputs, "pooler_output"]
    return Case(family + head, family + "Config", config, inputs, outputs,
                valid, draw.older_spelling())


def distilbert(draw):
    head = draw.choice(list(HEADS))
    heads, hidden = draw.heads()
    vocabulary = draw.randint(5, 90)
    config = {
        "vocab_size": vocabulary, "dim": hidden, "n_heads": heads,
        "n_layers": draw.randint(1, 3), "hidden_dim": draw.randint(1, 70),
        "activation": draw.choice(ACTIVATIONS), "max_position_embeddings": 14,
        "sinusoidal_pos_embds": draw.random() < 0.5,
    }
    if head in ("ForSequenceClassification", "ForTokenClassification"):
        config.update(draw.labels())
    if head == "ForMaskedLM":
        config["tie_word_embeddings"] = draw.random() < 0.6
    inputs, valid = masked_tokens(draw, vocabulary, 14)
    return Case("DistilBert" + head, "DistilBertConfig", config, inputs,
                HEADS[head], valid, draw.older_spelling())


def vit(draw):
    heads, hidden = draw.heads()

    def one_or_two(low, high):
        both = [draw.randint(low, high), draw.randint(low, high)]
        return both if draw.random() < 0.5 else both[0]
    image, patch = one_or_two(6, 15), one_or_two(2, 6)
    config = {
        "hidden_size": hidden, "num_attention_heads": heads,
        "num_hidden_layers": draw.randint(1, 3),
        "intermediate_size": draw.randint(1, 70),
        "hidden_act": draw.choice(ACTIVATIONS), "image_size": image,
        "patch_size": patch, "num_channels": draw.randint(1, 4),
        "qkv_bias": draw.random() < 0.5,
        "layer_norm_eps": draw.choice([1e-12, 1e-5, 1e-2]),
    }
    head = draw.choice(["Model", "ForImageClassification"])
    outputs = ["logits"]
    if head == "Model":
        outputs = ["last_hidden_state", "pooler_output"]
        config["pooler_output_size"] = draw.choice([None, 7])
        config["pooler_act"] = draw.choice(["tanh", "relu", "linear"])
    else:
        config.update(draw.labels())
    size = image if isinstance(image, list) else [image, image]
    pixels = draw.floats(draw.randint(1, 3), config["num_channels"], *size)
    return Case("ViT" + head, "ViTConfig", config, {"pixel_values": pixels},
                outputs, ..., draw.older_spelling())


def t5(draw):
    head = draw.choice(["ForConditionalGeneration"] * 4 +
                       ["Model", "EncoderModel"])
    vocabulary = draw.randint(5, 90)
    plain = [a for a in ACTIVATIONS if a != "gelu"]
    mlp = draw.choice(["relu", "gated-gelu", draw.choice(plain),
                       "gated-" + draw.choice(plain)])
    buckets = draw.randint(4, 34)
    config = {
        "vocab_size": vocabulary, "d_model": draw.randint(4, 60),
        "d_kv": draw.randint(2, 14), "num_heads": draw.randint(1, 6),
        "d_ff": draw.randint(1, 70), "num_layers": draw.randint(1, 3),
        "num_decoder_layers": draw.choice([None, 1, 2]),
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": buckets + draw.randint(0, 30),
        "feed_forward_proj": mlp,
        "layer_norm_epsilon": draw.choice([1e-6, 1e-3]),
        "tie_word_embeddings": draw.random() < 0.5,
        "decoder_start_token_id": 0,
    }
    # What wrote the file before there were names for these.
    written = draw.older_spelling()
    if draw.random() < 0.5:
        written.update({"scale_decoder_outputs": None, "dense_act_fn": None,
                        "is_gated_act": None,
                        "tie_word_embeddings": config["tie_word_embeddings"]})
    own_head = draw.random() < 0.5

    def prepare(model):
        if own_head:
            model.lm_head.weight = type(model.lm_head.weight)(
                model.lm_head.weight.flip(0).clone())
    inputs, valid = masked_tokens(draw, vocabulary, 40)
    if head == "EncoderModel":
        return Case("T5" + head, "T5Config", config, inputs,
                    ["last_hidden_state"], valid, written)
    batch = inputs["input_ids"].shape[0]
    inputs["decoder_input_ids"] = draw.tokens(batch, draw.randint(1, 9),
                                              below=vocabulary)
    if head == "Model":
        return Case("T5" + head, "T5Config", config, inputs,
                    ["last_hidden_state"], ..., written)
    return Case("T5" + head, "T5Config", config, inputs, ["logits"], ...,
                written, prepare, draw.randint(1, 6))


def whisper(draw):
    heads, hidden = 1, 1
    while hidden % 2 or hidden < 4:  # of the sinusoids it starts from
        heads, hidden = draw.heads()
    divisors = [h for h in range(1, 7) if hidden % h == 0]
    vocabulary = draw.randint(5, 90)
    positions = draw.randint(1, 9)
    prompt, new = draw.randint(1, 6), draw.randint(1, 5)
    config = {
        "vocab_size": vocabulary, "num_mel_bins": draw.randint(1, 12),
        "d_model": hidden, "encoder_attention_heads": heads,
        "decoder_attention_heads": draw.choice(divisors),
        "encoder_layers": draw.randint(1, 3),
        "decoder_layers": draw.randint(1, 3),
        "encoder_ffn_dim": draw.randint(1, 70),
        "decoder_ffn_dim": draw.randint(1, 70),
        "activation_function": draw.choice(ACTIVATIONS),
        "scale_embedding": draw.random() < 0.5,
        "max_source_positions": positions,
        "max_target_positions": prompt + new + draw.randint(0, 3),
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
        "decoder_start_token_id": 1,
        "tie_word_embeddings": draw.random() < 0.7,
    }
    batch = draw.randint(1, 3)
    inputs = {"input_features": draw.floats(batch, config["num_mel_bins"],
                                            2 * positions),
              "decoder_input_ids": draw.tokens(batch, prompt,
                                               below=vocabulary)}
    if draw.random() < 0.2:
        return Case("WhisperModel", "WhisperConfig", config, inputs,
                    ["last_hidden_state"], ..., draw.older_spelling())
    return Case("WhisperForConditionalGeneration", "WhisperConfig", config,
                inputs, ["logits"], ..., draw.older_spelling(), None, new)


FAMILIES = [bert_like, distilbert, vit, t5, whisper]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)
def test_equals_transformers(family, tmp_path):
    check_seeds(lambda seed: family(Draw(seed)), tmp_path)
