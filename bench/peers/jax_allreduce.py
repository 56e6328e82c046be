"""JAX's psum inside a program: 32 in a row.  jax_allreduce.py DEVICES"""

import os
import sys

devices = int(sys.argv[1])
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"

import json
import time

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

COUNT = 32
mesh = Mesh(np.array(jax.devices()[:devices]), ("tp",))


def chain(x):
    for _ in range(COUNT):
        x = jax.lax.psum(x, "tp") * (1.0 / devices)
    return x


step = jax.jit(jax.shard_map(chain, mesh=mesh, in_specs=P("tp", None), out_specs=P("tp", None), check_vma=False))
print(json.dumps({"ready": {"jax": jax.__version__}, "outputs": {}}), flush=True)
for line in sys.stdin:
    size = int(json.loads(line)["case"].split()[1])
    x = jax.device_put(np.ones((devices, size // 4), np.float32), NamedSharding(mesh, P("tp", None)))
    step(x).block_until_ready()
    times, end = [], time.perf_counter() + 0.5
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        step(x).block_until_ready()
        times.append((time.perf_counter() - start) * 1e3 / COUNT)
    print(json.dumps({"ms": [min(times)]}), flush=True)
