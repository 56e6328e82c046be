"""Writes random encoders and encoder-decoders with what transformers computes
for them.

    python random_encoders.py FOLDER FIRST COUNT [FAMILY...]

As random_models.py, of whose families each here has several classes.
expected.safetensors holds inputs and outputs by transformers' names, and
greedy.tokens and greedy.logits of the first row where text is generated.
"""

import json

import numpy as np
import torch
import transformers
from safetensors.torch import save_file

import random_models

ACTIVATIONS = ["gelu", "gelu_10", "gelu_accurate", "gelu_fast", "gelu_new",
               "gelu_python", "gelu_python_tanh", "gelu_pytorch_tanh",
               "hardswish", "laplace", "leaky_relu", "linear", "mish",
               "quick_gelu", "relu", "relu2", "relu6", "sigmoid", "silu",
               "sqrtsoftplus", "swish", "tanh"]
TASKS = {
    "Model": ["last_hidden_state"],
    "ForMaskedLM": ["logits"],
    "ForSequenceClassification": ["logits"],
    "ForTokenClassification": ["logits"],
    "ForQuestionAnswering": ["start_logits", "end_logits"],
}


class Draw(random_models.Draw):
    def tokens(self, *shape, below):
        return torch.tensor(self.choices(range(below), k=int(np.prod(shape)))
                            ).reshape(shape)

    def floats(self, *shape):
        return torch.randn(
            shape, generator=torch.Generator().manual_seed(self.randint(0, 999)))

    def width(self):
        """Heads, and the elements of all of them."""
        heads = self.randint(1, 6)
        return heads, heads * self.randint(2, 12)

    def any_activation(self):
        return self.choice(ACTIVATIONS)

    def masked_tokens(self, vocabulary):
        """Tokens, and perhaps a mask whose rows end in zeros."""
        batch, length = self.randint(1, 3), self.randint(1, 14)
        inputs = {"input_ids": self.tokens(batch, length, below=vocabulary)}
        if self.maybe(True, chance=0.6):
            inputs["attention_mask"] = torch.tensor(
                [[int(i < n) for i in range(length)] for n in
                 [self.randint(1, length) for _ in range(batch)]])
        return inputs


class Case:
    """A class, its options, inputs and outputs."""

    def __init__(self, name, options, inputs, outputs):
        self.name, self.options = name, options
        self.inputs, self.outputs = inputs, outputs
        # Keys to change in the config.json; None removes one.
        self.written = {}
        # Whether the head has other values than the table it is tied to.
        self.own_head = False
        self.generated = 0


def task_options(draw, task):
    if task in ("ForSequenceClassification", "ForTokenClassification"):
        return {"num_labels": draw.randint(1, 5)}
    if task == "ForMaskedLM":
        return {"tie_word_embeddings": draw.maybe(True, False, 0.6)}
    return {}


def bert_like(draw, family, tasks):
    task = draw.choice(tasks)
    heads, hidden = draw.width()
    vocabulary, pad = draw.randint(5, 90), draw.randint(0, 3)
    options = {
        "vocab_size": vocabulary, "hidden_size": hidden,
        "num_hidden_layers": draw.randint(1, 3), "num_attention_heads": heads,
        "intermediate_size": draw.randint(1, 70),
        "hidden_act": draw.any_activation(),
        "max_position_embeddings": 14 + pad + 1,
        "type_vocab_size": draw.randint(1, 3), "pad_token_id": pad,
        "layer_norm_eps": draw.choice([1e-12, 1e-5, 1e-2]),
        **task_options(draw, task),
    }
    if family == "Electra":
        options["embedding_size"] = draw.choice([hidden, draw.randint(2, 40)])
    inputs = draw.masked_tokens(vocabulary)
    if draw.maybe(True):
        inputs["token_type_ids"] = draw.tokens(
            *inputs["input_ids"].shape, below=options["type_vocab_size"])
    outputs = TASKS.get(task, ["logits"])
    if task == "Model" and family != "Electra":
        outputs = [*outputs, "pooler_output"]
    return Case(family + task, options, inputs, outputs)


def distilbert(draw):
    task = draw.choice(list(TASKS))
    heads, hidden = draw.width()
    vocabulary = draw.randint(5, 90)
    options = {
        "vocab_size": vocabulary, "dim": hidden, "n_heads": heads,
        "n_layers": draw.randint(1, 3), "hidden_dim": draw.randint(1, 70),
        "activation": draw.any_activation(), "max_position_embeddings": 14,
        "sinusoidal_pos_embds": draw.maybe(True, False),
        **task_options(draw, task),
    }
    return Case("DistilBert" + task, options, draw.masked_tokens(vocabulary),
                TASKS[task])


def vit(draw):
    def one_or_two(low, high):
        both = [draw.randint(low, high), draw.randint(low, high)]
        return draw.maybe(both, both[0])
    heads, hidden = draw.width()
    image = one_or_two(6, 15)
    options = {
        "hidden_size": hidden, "num_attention_heads": heads,
        "num_hidden_layers": draw.randint(1, 3),
        "intermediate_size": draw.randint(1, 70),
        "hidden_act": draw.any_activation(), "image_size": image,
        "patch_size": one_or_two(2, 6), "num_channels": draw.randint(1, 4),
        "qkv_bias": draw.maybe(True, False),
        "layer_norm_eps": draw.choice([1e-12, 1e-5, 1e-2]),
    }
    task = draw.choice(["Model", "ForImageClassification"])
    if task == "Model":
        outputs = ["last_hidden_state", "pooler_output"]
        options["pooler_output_size"] = draw.maybe(7)
        options["pooler_act"] = draw.choice(["tanh", "relu", "linear"])
    else:
        outputs = ["logits"]
        options["num_labels"] = draw.randint(1, 5)
    size = image if isinstance(image, list) else [image, image]
    pixels = draw.floats(draw.randint(1, 3), options["num_channels"], *size)
    return Case("ViT" + task, options, {"pixel_values": pixels}, outputs)


def t5(draw):
    task = draw.choice(["ForConditionalGeneration"] * 4 +
                       ["Model", "EncoderModel"])
    vocabulary, buckets = draw.randint(5, 90), draw.randint(4, 34)
    options = {
        "vocab_size": vocabulary, "d_model": draw.randint(4, 60),
        "d_kv": draw.randint(2, 14), "num_heads": draw.randint(1, 6),
        "d_ff": draw.randint(1, 70), "num_layers": draw.randint(1, 3),
        "num_decoder_layers": draw.choice([None, 1, 2]),
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": buckets + draw.randint(0, 30),
        "feed_forward_proj": draw.choice(
            ["relu", "gated-gelu", draw.any_activation(),
             "gated-" + draw.any_activation()]),
        "layer_norm_epsilon": draw.choice([1e-6, 1e-3]),
        "tie_word_embeddings": draw.maybe(True, False),
        "decoder_start_token_id": 0,
    }
    inputs = draw.masked_tokens(vocabulary)
    outputs = ["last_hidden_state"]
    if task != "EncoderModel":
        inputs["decoder_input_ids"] = draw.tokens(
            inputs["input_ids"].shape[0], draw.randint(1, 9), below=vocabulary)
    case = Case("T5" + task, options, inputs, outputs)
    if task == "ForConditionalGeneration":
        case.outputs = ["logits"]
        case.own_head = draw.maybe(True, False)
        case.generated = draw.randint(1, 6)
    # Older files do not name these; transformers derives them.
    if draw.maybe(True):
        case.written = {"scale_decoder_outputs": None, "dense_act_fn": None,
                        "is_gated_act": None,
                        "tie_word_embeddings": options["tie_word_embeddings"]}
    return case


def whisper(draw):
    heads, hidden = 1, 1
    while hidden % 2 or hidden < 4:  # of the sinusoids it starts from
        heads, hidden = draw.width()
    vocabulary, positions = draw.randint(5, 90), draw.randint(1, 9)
    prompt, generated = draw.randint(1, 6), draw.randint(1, 5)
    options = {
        "vocab_size": vocabulary, "num_mel_bins": draw.randint(1, 12),
        "d_model": hidden, "encoder_attention_heads": heads,
        "decoder_attention_heads": draw.choice(
            [h for h in range(1, 7) if hidden % h == 0]),
        "encoder_layers": draw.randint(1, 3),
        "decoder_layers": draw.randint(1, 3),
        "encoder_ffn_dim": draw.randint(1, 70),
        "decoder_ffn_dim": draw.randint(1, 70),
        "activation_function": draw.any_activation(),
        "scale_embedding": draw.maybe(True, False),
        "max_source_positions": positions,
        "max_target_positions": prompt + generated + draw.randint(0, 3),
        "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
        "decoder_start_token_id": 1,
        "tie_word_embeddings": draw.maybe(True, False, 0.7),
    }
    batch = draw.randint(1, 3)
    inputs = {
        "input_features": draw.floats(batch, options["num_mel_bins"],
                                      2 * positions),
        "decoder_input_ids": draw.tokens(batch, prompt, below=vocabulary),
    }
    if draw.maybe(True, chance=0.2):
        return Case("WhisperModel", options, inputs, ["last_hidden_state"])
    case = Case("WhisperForConditionalGeneration", options, inputs, ["logits"])
    case.generated = generated
    return case


FAMILIES = {
    "bert": lambda draw: bert_like(
        draw, "Bert", [*TASKS, "ForNextSentencePrediction"]),
    "roberta": lambda draw: bert_like(draw, "Roberta", list(TASKS)),
    "electra": lambda draw: bert_like(
        draw, "Electra", [*TASKS, "ForPreTraining"]),
    "distilbert": distilbert,
    "vit": vit,
    "t5": t5,
    "whisper": whisper,
}


def randomize(model):
    """Weights large enough that every one of them shows in the output."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape)
        if parameter.dim() < 2:
            is_norm = name.endswith("weight")
            parameter.copy_(0.25 * noise + (1.0 if is_norm else 0.0))
        elif "embed" in name or "shared" in name:
            parameter.copy_(0.5 * noise)
        else:
            parameter.copy_(noise * parameter[0].numel() ** -0.5)


def greedy(model, inputs, count):
    """Tokens and logits of the first row, one whole run for each."""
    given = {name: array[:1] for name, array in inputs.items()}
    tokens, logits = [], []
    for _ in range(count):
        logits.append(model(**given, use_cache=False).logits[0, -1])
        tokens.append(logits[-1].argmax())
        given["decoder_input_ids"] = torch.cat(
            [given["decoder_input_ids"], tokens[-1].reshape(1, 1)], 1)
    return {"greedy.tokens": torch.stack(tokens),
            "greedy.logits": torch.stack(logits)}


def rewrite(draw, path, changes):
    """The config.json as other versions write it."""
    config = {**json.loads(path.read_text()), **changes}
    if draw.maybe(True):
        config["torch_dtype"] = config.pop("dtype")
    path.write_text(json.dumps({key: value for key, value in config.items()
                                if value is not None}, indent=1))


@torch.no_grad()
def write(name, seed, folder):
    draw = Draw(f"{name} {seed}")
    case = FAMILIES[name](draw)
    torch.manual_seed(draw.randint(0, 1 << 30))
    model_class = getattr(transformers, case.name)
    model = model_class(model_class.config_class(**case.options))
    randomize(model)
    if case.own_head:
        model.lm_head.weight = torch.nn.Parameter(
            model.lm_head.weight.flip(0).clone())
    model.save_pretrained(folder / "model")
    rewrite(draw, folder / "model/config.json", case.written)
    model = model_class.from_pretrained(
        folder / "model", attn_implementation="eager").eval()
    found = model(**case.inputs)
    expected = {**case.inputs, **{key: found[key] for key in case.outputs}}
    if case.generated:
        expected.update(greedy(model, case.inputs, case.generated))
    save_file({key: value.contiguous() for key, value in expected.items()},
              folder / "expected.safetensors")


if __name__ == "__main__":
    random_models.main(FAMILIES, write)
