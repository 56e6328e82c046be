"""JAX, on N virtual devices.  jax_worker.py decoder|encoder FOLDER DTYPE LENGTHS|BATCHES TP"""

import json
import os
import pathlib
import sys

kind, folder, dtype, sizes, tp = sys.argv[1:6]
folder, tp = pathlib.Path(folder), int(tp)
sizes = [int(s) for s in sizes.split(",")]
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={tp}"

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
from safetensors.numpy import load_file

import workloads
from worker import serve

DTYPE = {"f32": jnp.float32, "bf16": jnp.bfloat16}[dtype]
mesh = Mesh(np.array(jax.devices()[:tp]), ("tp",))


def place(value, *spec):
    return jax.device_put(value, NamedSharding(mesh, P(*spec)))


def put(name, value):
    """Weights as [in, out], split as Megatron does."""
    if value.ndim == 1:
        return place(value)
    if "embed" in name:
        return place(value, "tp", None)
    rowwise = "o_proj" in name or "down_proj" in name
    return place(value.T, *(("tp", None) if rowwise else (None, "tp")))


def rms(x, weight, epsilon):
    h = x.astype(jnp.float32)
    return (h * jax.lax.rsqrt(jnp.mean(h * h, -1, keepdims=True) + epsilon)).astype(x.dtype) * weight


def rope(x, positions, theta):
    half = x.shape[-1] // 2
    angles = positions.astype(jnp.float32)[:, None] * theta ** (-np.arange(half, dtype=np.float32) / half)
    cos, sin = jnp.cos(angles)[:, None], jnp.sin(angles)[:, None]
    a, b = x[..., :half].astype(jnp.float32), x[..., half:].astype(jnp.float32)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1).astype(x.dtype)


def decoder(c, w, cache, tokens, positions):
    n, dh = tokens.shape[1], c["head_dim"]
    kv, group = c["num_key_value_heads"], c["num_attention_heads"] // c["num_key_value_heads"]
    norm = lambda x, name: rms(x, w[name], c["rms_norm_eps"])
    x = jnp.take(w["model.embed_tokens.weight"], tokens, axis=0)
    new = []
    for l, (keys, values) in enumerate(cache):
        at = f"model.layers.{l}."
        h = norm(x, at + "input_layernorm.weight")
        heads = lambda name: (h @ w[at + f"self_attn.{name}_proj.weight"]).reshape(1, n, -1, dh)
        q, k = (rope(heads(name), positions, c["rope_theta"]) for name in "qk")
        keys = jax.lax.dynamic_update_slice(keys, k, (0, positions[0], 0, 0))
        values = jax.lax.dynamic_update_slice(values, heads("v"), (0, positions[0], 0, 0))
        new.append((keys, values))
        # Prefill needs no more than what it wrote.
        k, v = (keys[:, :n], values[:, :n]) if n > 1 else (keys, values)
        scores = jnp.einsum("bskgd,btkd->bkgst", q.reshape(1, n, kv, group, dh), k,
                            preferred_element_type=jnp.float32) * np.float32(dh ** -0.5)
        visible = jnp.arange(k.shape[1])[None] <= positions[:, None]
        weights = jax.nn.softmax(jnp.where(visible, scores, -1e30), -1).astype(x.dtype)
        o = jnp.einsum("bkgst,btkd->bskgd", weights, v).reshape(1, n, -1)
        x = x + o @ w[at + "self_attn.o_proj.weight"]
        h = norm(x, at + "post_attention_layernorm.weight")
        x = x + (jax.nn.silu(h @ w[at + "mlp.gate_proj.weight"]) * (h @ w[at + "mlp.up_proj.weight"])) @ w[at + "mlp.down_proj.weight"]
    return norm(x[:, -1], "model.norm.weight") @ w["lm_head.weight"], new


def decoder_cases():
    c = json.loads((folder / "config.json").read_text())
    w = {name: put(name, value) for name, value in load_file(folder / "model.safetensors").items()}
    split = c["num_key_value_heads"] % tp == 0
    cases = {}
    for length in sizes:
        shape = (1, length + workloads.ROOM, c["num_key_value_heads"], c["head_dim"])
        empty = lambda: place(np.zeros(shape, DTYPE), *((None, None, "tp") if split else ()))
        state = {"cache": [(empty(), empty()) for _ in range(c["num_hidden_layers"])]}
        step = jax.jit(lambda w, cache, t, p: decoder(c, w, cache, t, p), donate_argnums=1)

        def run(tokens, positions, state=state, step=step):
            logits, state["cache"] = step(w, state["cache"], tokens, positions)
            return np.asarray(logits[0, :64], np.float32).tolist()

        prompt = jnp.asarray(workloads.prompt(c["vocab_size"], 1, length))
        cases[f"jax/prefill {length}"] = lambda run=run, t=prompt, p=jnp.arange(length): run(t, p)
        cases[f"jax/decode {length}"] = lambda run=run, t=jnp.array([[7]]), p=jnp.array([length]): run(t, p)
    return cases


def encoder(c, w, tokens):
    heads = c["num_attention_heads"]
    batch, n = tokens.shape

    def norm(x, name):
        h = x.astype(jnp.float32)
        h = (h - h.mean(-1, keepdims=True)) * jax.lax.rsqrt(h.var(-1, keepdims=True) + c["layer_norm_eps"])
        return h.astype(x.dtype) * w[name + ".weight"] + w[name + ".bias"]

    linear = lambda x, name: x @ w[name + ".weight"].T + w[name + ".bias"]
    e = "embeddings."
    x = (jnp.take(w[e + "word_embeddings.weight"], tokens, axis=0) + w[e + "position_embeddings.weight"][:n]
         + w[e + "token_type_embeddings.weight"][0])
    x = norm(x, e + "LayerNorm")
    for l in range(c["num_hidden_layers"]):
        at = f"encoder.layer.{l}."
        q, k, v = (linear(x, at + f"attention.self.{name}").reshape(batch, n, heads, -1)
                   for name in ("query", "key", "value"))
        scores = jnp.einsum("bshd,bthd->bhst", q, k, preferred_element_type=jnp.float32) * np.float32(q.shape[-1] ** -0.5)
        o = jnp.einsum("bhst,bthd->bshd", jax.nn.softmax(scores, -1).astype(x.dtype), v).reshape(batch, n, -1)
        x = norm(x + linear(o, at + "attention.output.dense"), at + "attention.output.LayerNorm")
        h = jax.nn.gelu(linear(x, at + "intermediate.dense"), approximate=False)
        x = norm(x + linear(h, at + "output.dense"), at + "output.LayerNorm")
    return x


def encoder_cases():
    c = json.loads((folder / "config.json").read_text())
    w = {name: jnp.asarray(value.astype(DTYPE)) for name, value in load_file(folder / "model.safetensors").items()
         if value.dtype.kind == "f"}
    step = jax.jit(lambda w, tokens: encoder(c, w, tokens))
    cases = {}
    for batch in sizes:
        tokens = jnp.asarray(workloads.prompt(30000, batch, 128))
        cases[f"jax/batch {batch}"] = (
            lambda tokens=tokens: np.asarray(step(w, tokens)[0, 0, :64], np.float32).tolist())
    return cases


serve({"jax": jax.__version__, "devices": tp},
      decoder_cases() if kind == "decoder" else encoder_cases())
