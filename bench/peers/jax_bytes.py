"""What XLA sends for the gradient of a Llama-style stack.  jax_bytes.py LAYERS TP shardy|gspmd

Weights are split as Megatron does, on TP virtual devices; the partitioner
decides the rest. Prints a JSON list of the collectives in the compiled program:
[kind, type, elements of the result on one device, members], one for each buffer.
"""

import json
import os
import re
import sys

layers, tp, partitioner = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={tp}"

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

from stack import BATCH, LENGTH, HIDDEN, parameters

jax.config.update("jax_use_shardy_partitioner", partitioner == "shardy")
mesh = Mesh(np.array(jax.devices()), ("tp",))


def rms(x, gain):
    h = x.astype(jnp.float32)
    return (h * jax.lax.rsqrt(jnp.mean(h * h, -1, keepdims=True) + 1e-5)).astype(x.dtype) * gain


def layer(x, w):
    n = rms(x, w["g"])
    q = jnp.einsum("bse,ehgd->bshgd", n, w["q"])
    k, v = (jnp.einsum("bse,ehd->bshd", n, w[name]) for name in "kv")
    scores = jnp.einsum("bshgd,bthd->bhgst", q, k) * q.shape[-1] ** -0.5
    causal = jnp.tril(jnp.ones((LENGTH, LENGTH), bool))
    weights = jax.nn.softmax(jnp.where(causal, scores.astype(jnp.float32), -1e30), -1)
    context = jnp.einsum("bhgst,bthd->bshgd", weights.astype(x.dtype), v)
    x = x + jnp.einsum("bshgd,hgde->bse", context, w["o"])
    n = rms(x, w["h"])
    a = jax.nn.silu(jnp.einsum("bse,ef->bsf", n, w["gate"])) * jnp.einsum("bse,ef->bsf", n, w["up"])
    return x + jnp.einsum("bsf,fe->bse", a, w["down"])


def loss(weights, x):
    for w in weights:
        x = layer(x, w)
    return jnp.sum(x.astype(jnp.float32) ** 2)


def placed(dim, rank):
    return NamedSharding(mesh, P(*("tp" if i == dim else None for i in range(rank))))


shapes = [{name: jax.ShapeDtypeStruct(shape, jnp.bfloat16) for name, (shape, _) in parameters().items()}] * layers
split = [{name: placed(dim, len(shape)) for name, (shape, dim) in parameters().items()}] * layers
x = jax.ShapeDtypeStruct((BATCH, LENGTH, HIDDEN), jnp.bfloat16)
step = jax.jit(jax.value_and_grad(loss), in_shardings=(split, placed(None, 3)),
               out_shardings=(placed(None, 0), split))
text = step.lower(shapes, x).compile().as_text()

KINDS = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute"
found = []
for match in re.finditer(rf"= (\([^)]*\)|\S+) ({KINDS})(?:-start)?\((.*)", text):
    groups = re.search(r"replica_groups=(?:\{\{([\d,]+)\}|\[\d+,(\d+)\])", match[3])
    members = tp
    if groups:
        members = len(groups[1].split(",")) if groups[1] else int(groups[2])
    for type_, dims in re.findall(r"(\w+)\[([\d,]*)\]", match[1]):
        elements = int(np.prod([int(n) for n in dims.split(",") if n]))
        found.append([match[2].replace("-", "_").replace("collective_", ""), type_, elements, members])
print(json.dumps(found))
