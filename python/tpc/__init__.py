"""tpc compiles models for meshes of devices and runs them.

    import tpc

    m = tpc.load("DIR", mesh={"tp": 4})       # a Hugging Face directory
    m.generate(ids, max_new_tokens=16)

    g = tpc.Graph()                           # a graph of one's own
    x = g.input("x", (8, 64))
    g.output(y=tpc.gelu(x @ g.parameter("w", (64, 256))))
    exe = tpc.compile(g, mesh={"tp": 2}, weights={"w": w})
    y = exe(x=array)
"""

from tpc._tpc import Error
from tpc._distributed import Processes, init_distributed
from tpc._executable import Executable, compile, explain, load_artifact
from tpc._graph import Graph, Value, parse
from tpc._model import Generation, Model, load
from tpc._plan import Memory, Plan
from tpc._visualize import Picture, visualize
from tpc.ops import (
    abs, add, attention, broadcast, broadcast_to, compare, concat, constant,
    convert, cos, cross_entropy, div, dynamic_slice, einsum, embedding, equal,
    erf, exp, experts, full, gather, gelu, grouped_matmul, index, iota,
    layer_norm, linear, log, logical_and, logical_not, logical_or, matmul,
    maximum, mean, minimum, mul, neg, pad, pow, reduce, relu, reshape,
    rms_norm, rope, rsqrt, scatter_add, shard, sigmoid, silu, sin, slice,
    softmax, sort, sqrt, sub, tanh, top_k, transpose, update_slice, where,
    zeros)

__version__ = "0.1.0"
