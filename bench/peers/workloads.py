"""The models that are measured, as Hugging Face directories that every engine
reads: the same weights, the same tokens.

"small" and "medium" are Llama-style decoders with random weights; MiniLM is
all-MiniLM-L6-v2 as its package carries it.
"""

import json
import pathlib

import ml_dtypes
import numpy as np
from safetensors.numpy import save_file

DECODERS = {
    "small": dict(hidden=512, layers=4, heads=8, kv_heads=4, ffn=1408, vocab=8192),
    "medium": dict(hidden=2048, layers=22, heads=32, kv_heads=4, ffn=5632, vocab=32000),
}
DTYPES = {"f32": np.float32, "bf16": ml_dtypes.bfloat16}
#: Tokens after the prompt that the cache has room for.
ROOM = 40


def config(preset, dtype):
    p = DECODERS[preset]
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "hidden_size": p["hidden"], "num_hidden_layers": p["layers"],
        "num_attention_heads": p["heads"], "num_key_value_heads": p["kv_heads"],
        "head_dim": p["hidden"] // p["heads"], "intermediate_size": p["ffn"],
        "vocab_size": p["vocab"], "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "hidden_act": "silu", "max_position_embeddings": 2048,
        "tie_word_embeddings": False, "attention_bias": False, "mlp_bias": False,
        "dtype": {"f32": "float32", "bf16": "bfloat16"}[dtype],
    }


def tensors(preset):
    """Names and shapes, [out, in] as Hugging Face stores them."""
    p = DECODERS[preset]
    d, dh = p["hidden"], p["hidden"] // p["heads"]
    yield "model.embed_tokens.weight", (p["vocab"], d)
    for l in range(p["layers"]):
        layer = f"model.layers.{l}."
        yield layer + "input_layernorm.weight", (d,)
        yield layer + "self_attn.q_proj.weight", (p["heads"] * dh, d)
        yield layer + "self_attn.k_proj.weight", (p["kv_heads"] * dh, d)
        yield layer + "self_attn.v_proj.weight", (p["kv_heads"] * dh, d)
        yield layer + "self_attn.o_proj.weight", (d, p["heads"] * dh)
        yield layer + "post_attention_layernorm.weight", (d,)
        yield layer + "mlp.gate_proj.weight", (p["ffn"], d)
        yield layer + "mlp.up_proj.weight", (p["ffn"], d)
        yield layer + "mlp.down_proj.weight", (d, p["ffn"])
    yield "model.norm.weight", (d,)
    yield "lm_head.weight", (p["vocab"], d)


def decoder_directory(root, preset, dtype):
    """Writes the model once; weights that embeddings and products keep of the
    order of one, so that engines can be compared."""
    folder = pathlib.Path(root) / f"{preset}-{dtype}"
    if (folder / "config.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    weights = {}
    for name, shape in tensors(preset):
        if len(shape) == 1:
            weights[name] = np.ones(shape, DTYPES[dtype])
        else:
            scale = 1.0 if "embed" in name else shape[1] ** -0.5
            values = rng.standard_normal(shape, dtype=np.float32) * np.float32(scale)
            weights[name] = values.astype(DTYPES[dtype])
    save_file(weights, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config(preset, dtype)))
    return folder


def prompt(vocab, batch, length):
    return np.random.default_rng(1).integers(0, vocab, (batch, length))
