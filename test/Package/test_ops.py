"""Every operation of the package computes what NumPy computes."""

import math

import ml_dtypes
import numpy as np
import pytest

import tpc
from tpc import _tpc, ops

RNG = np.random.default_rng(7)


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def run(function, *arrays, mesh=None):
    """What `function` of the arrays gives, compiled and run."""
    g = tpc.Graph()
    values = [g.input(f"x{i}", array.shape, array.dtype)
              for i, array in enumerate(arrays)]
    results = function(*values)
    results = results if isinstance(results, (list, tuple)) else [results]
    g.output(**{f"y{i}": value for i, value in enumerate(results)})
    exe = tpc.compile(g, mesh=mesh, search_time=1)
    outputs = exe.run(**{f"x{i}": array for i, array in enumerate(arrays)})
    for value, output in zip(results, outputs.values()):
        assert value.shape == output.shape
        assert value.dtype == tpc._arrays.dtype_name(output.dtype)
    return list(outputs.values())


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def erf(x):
    return np.vectorize(math.erf)(x).astype(np.float32)


def rope(x, positions, frequencies, pairs):
    half = len(frequencies)
    angle = (positions[..., None] * frequencies).reshape(
        positions.shape + (1,) * (x.ndim - positions.ndim - 1) + (half,))
    first = x[..., 0:2 * half:2] if pairs else x[..., :half]
    second = x[..., 1:2 * half:2] if pairs else x[..., half:2 * half]
    result = x.copy()
    turned = (first * np.cos(angle) - second * np.sin(angle),
              second * np.cos(angle) + first * np.sin(angle))
    for offset, part in enumerate(turned):
        if pairs:
            result[..., offset:2 * half:2] = part
        else:
            result[..., offset * half:(offset + 1) * half] = part
    return result


def attention(q, k, v, causal=False, window=None, softcap=None, scale=None,
              bias=None, lengths=None, offset=None, sinks=None):
    b, s, heads, group, d = q.shape
    scores = np.einsum("bskgd,btkd->bkgst", q, k) * (
        d**-0.5 if scale is None else scale)
    if softcap:
        scores = softcap * np.tanh(scores / softcap)
    if bias is not None:
        scores = scores + bias
    t = np.arange(k.shape[1])
    place = np.arange(s)[None] + (0 if offset is None else offset[:, None])
    seen = np.ones((b, s, len(t)), bool)
    if causal:
        seen &= t <= place[..., None]
    if window:
        seen &= place[..., None] - window < t
    if lengths is not None:
        seen &= (t < lengths[:, None])[:, None]
    scores = np.where(seen[:, None, None], scores, -np.inf)
    if sinks is not None:
        extra = np.broadcast_to(sinks[None, :, :, None, None],
                                (b, heads, group, s, 1))
        weights = softmax(np.concatenate([scores, extra], -1))[..., :-1]
    else:
        weights = softmax(scores)
    return np.einsum("bkgst,btkv->bskgv", weights, v)


X, Y, P = normal(4, 6), normal(4, 6), np.abs(normal(4, 6)) + 0.1
M, N = normal(6, 5), normal(3, 6, 5)
INT = np.array([[3, 0, 2], [1, 1, 3]])
BOOL = X > 0
Q, K, V = normal(2, 5, 2, 3, 8), normal(2, 7, 2, 8), normal(2, 7, 2, 4)
GATE, UP, DOWN = normal(4, 6, 5), normal(4, 6, 5), normal(4, 5, 3)
CHOICES, SCORES = np.array([[0, 2], [3, 1], [2, 2]]), normal(3, 2)


def experts(x, choices, scores, gate, up, down):
    result = np.zeros((len(x), down.shape[-1]))
    for n, row in enumerate(x):
        for c, s in zip(choices[n], scores[n]):
            h = row @ gate[c]
            result[n] += s * ((h * sigmoid(h) * (row @ up[c])) @ down[c])
    return result


def scattered(x, i, u):
    result = x.copy()
    np.add.at(result, i, u)
    return result


CASES = {
    "neg": (lambda x: -x, lambda x: -x, X),
    "abs": (lambda x: abs(x), np.abs, X),
    "exp": (tpc.exp, np.exp, X),
    "log": (tpc.log, np.log, P),
    "sqrt": (tpc.sqrt, np.sqrt, P),
    "rsqrt": (tpc.rsqrt, lambda x: x**-0.5, P),
    "sin": (tpc.sin, np.sin, X),
    "cos": (tpc.cos, np.cos, X),
    "tanh": (tpc.tanh, np.tanh, X),
    "erf": (tpc.erf, erf, X),
    "not": (lambda x: ~x, np.logical_not, BOOL),
    "silu": (tpc.silu, lambda x: x * sigmoid(x), X),
    "sigmoid": (tpc.sigmoid, sigmoid, X),
    "relu": (tpc.relu, lambda x: np.maximum(x, 0), X),
    "gelu": (tpc.gelu, lambda x: x / 2 * (1 + erf(x / 2**0.5)), X),
    "gelu tanh": (lambda x: tpc.gelu(x, "tanh"), lambda x: x / 2 * (
        1 + np.tanh((2 / np.pi)**0.5 * (x + 0.044715 * x**3))), X),
    "add": (lambda x, y: x + y, np.add, X, Y),
    "add row": (lambda x, y: x + y, np.add, X, Y[0]),
    "add outer": (lambda x, y: x + y, np.add, X[:, :1], Y[:1]),
    "add array": (lambda x: x + Y, lambda x: x + Y, X),
    "array add": (lambda x: Y + x, lambda x: x + Y, X),
    "sub": (lambda x, y: 1 - (x - y), lambda x, y: 1 - (x - y), X, Y),
    "mul": (lambda x, y: 2 * x * y, lambda x, y: 2 * x * y, X, Y),
    "div": (lambda x, y: 1 / (x / y), lambda x, y: y / x, P, P[::-1]),
    "div integers": (lambda x: x / 2, lambda x: x // 2, INT),
    "pow": (lambda x: x**2.5, lambda x: x**2.5, P),
    "max": (tpc.maximum, np.maximum, X, Y),
    "min": (tpc.minimum, np.minimum, X, Y),
    "and": (lambda x, y: (x > 0) & (y > 0), lambda x, y: (x > 0) & (y > 0), X,
            Y),
    "or": (lambda x, y: (x > 0) | (y > 0), lambda x, y: (x > 0) | (y > 0), X,
           Y),
    "compare": (lambda x, y: [x < y, x <= y, x > y, x >= y, tpc.equal(x, y),
                              tpc.compare("ne", x, y)],
                lambda x, y: [x < y, x <= y, x > y, x >= y, x == y, x != y],
                INT, INT[::-1].copy()),
    "select": (lambda x, y: tpc.where(x > 0, x, y),
               lambda x, y: np.where(x > 0, x, y), X, Y),
    "select number": (lambda x: tpc.where(x > 0, x, 0.5),
                      lambda x: np.where(x > 0, x, np.float32(0.5)), X),
    "convert": (lambda x: [x.astype("f64"), x.astype(np.int32),
                           x.astype("bf16"), x.astype("f16")],
                lambda x: [x.astype(np.float64), x.astype(np.int32),
                           x.astype(ml_dtypes.bfloat16),
                           x.astype(np.float16)], X),
    "constant": (lambda x: [tpc.constant(x.graph, Y),
                            tpc.constant(x.graph, INT),
                            tpc.constant(x.graph, BOOL),
                            tpc.constant(x.graph, np.inf) + x,
                            tpc.constant(x.graph, True)],
                 lambda x: [Y, INT, BOOL, x + np.inf, np.array(True)], X),
    "iota": (lambda x: [tpc.iota(x.graph, (3, 4), 1),
                        tpc.zeros(x.graph, (2,)),
                        tpc.full(x.graph, (2, 3), 7, "i32")],
             lambda x: [np.broadcast_to(np.arange(4), (3, 4)),
                        np.zeros(2, np.float32),
                        np.full((2, 3), 7, np.int32)], X),
    "reshape": (lambda x: [x.reshape(2, 12), x.reshape((-1, 3))],
                lambda x: [x.reshape(2, 12), x.reshape(-1, 3)], X),
    "transpose": (lambda x: [x.T, x.transpose(2, 0, 1)],
                  lambda x: [x.T, x.transpose(2, 0, 1)], N),
    "broadcast": (lambda x: tpc.broadcast(x, (4, 2, 6), [0, 2]),
                  lambda x: np.broadcast_to(x[:, None], (4, 2, 6)), X),
    "index": (lambda x: [x[1], x[-1, 2:4], x[..., 1:], x[:, None, 3],
                         x[None]],
              lambda x: [x[1], x[-1, 2:4], x[..., 1:], x[:, None, 3],
                         x[None]], N),
    "slice": (lambda x: tpc.slice(x, [1, 2], [2, 3]), lambda x: x[1:3, 2:5],
              X),
    "dynamic_slice": (lambda x, s: tpc.dynamic_slice(x, s, (2, 3)),
                      lambda x, s: x[1:3, 3:6], X, np.array([1, 9])),
    "update_slice": (tpc.update_slice,
                     lambda x, u, s: np.concatenate(
                         [x[:1], np.concatenate([x[1:3, :2], u, x[1:3, 5:]],
                                                1), x[3:]]), X, Y[:2, :3],
                     np.array([1, 2])),
    "pad": (lambda x: tpc.pad(x, [1, 0], [0, 2], -1), lambda x: np.pad(
        x, [(1, 0), (0, 2)], constant_values=-1), X),
    "concat": (lambda x, y: tpc.concat([x, y, x], -1),
               lambda x, y: np.concatenate([x, y, x], -1), X, Y),
    "gather": (lambda x, i: [tpc.gather(x, i), tpc.gather(x, i, 1), x[i],
                             x[:, i]],
               lambda x, i: [x[i], x[:, i], x[i], x[:, i]], X, INT),
    "scatter_add": (tpc.scatter_add, scattered, X, INT[0], Y[:3]),
    "sort": (lambda x: [*tpc.sort(x), tpc.sort(x, descending=True)[0]],
             lambda x: [np.sort(x), np.argsort(x, kind="stable"),
                        np.sort(x)[:, ::-1]], X),
    "top_k": (lambda x: tpc.top_k(x, 2), lambda x: [
        np.sort(x)[:, :-3:-1], np.argsort(-x, kind="stable")[:, :2]], X),
    "reduce": (lambda x: [x.sum(), x.sum(-1), x.max([0, 2], keep=True),
                          tpc.reduce("min", x, 1), x.mean(0)],
               lambda x: [x.sum(), x.sum(-1), x.max((0, 2), keepdims=True),
                          x.min(1), x.mean(0)], N),
    "matmul": (lambda x, y: x @ y, np.matmul, X, M),
    "matmul batch": (lambda x, y: x @ y, np.matmul, normal(3, 4, 6), N),
    "matmul vector": (lambda x, y: x @ y, np.matmul, X[0], M),
    "einsum": (lambda x, y: tpc.einsum("b s, h s e -> b h e", x, y),
               lambda x, y: np.einsum("bs,hse->bhe", x, y), X, N),
    "linear": (tpc.linear, lambda x, w, b: x @ w + b, X, M, normal(5)),
    "softmax": (tpc.softmax, softmax, X),
    "cross_entropy": (tpc.cross_entropy, lambda x, i: -np.log(
        softmax(x)[np.arange(3), i]), X[:3], INT[0]),
    "layer_norm": (lambda x, w, b: tpc.layer_norm(x, w, b, 1e-3),
                   lambda x, w, b: (x - x.mean(-1, keepdims=True)) / np.sqrt(
                       x.var(-1, keepdims=True) + 1e-3) * w + b, X, P[0],
                   Y[0]),
    "rms_norm": (lambda x, w: tpc.rms_norm(x, w, 1e-3), lambda x, w: x /
                 np.sqrt((x**2).mean(-1, keepdims=True) + 1e-3) * w, X, P[0]),
    "rope": (lambda x, p, f: [tpc.rope(x, p, f),
                              tpc.rope(x, p, f, "pairs", scale=2)],
             lambda x, p, f: [rope(x, p, f, False), None], Q,
             np.arange(10).reshape(2, 5), normal(3)),
    "embedding": (tpc.embedding, lambda t, i: t[i], X, INT),
    "grouped_matmul": (tpc.grouped_matmul, lambda x, c, w: np.einsum(
        "nd,ncdf->ncf", x, w[c]), X[:3], CHOICES, GATE),
    "experts": (tpc.experts, experts, X[:3], CHOICES, SCORES, GATE, UP, DOWN),
    "attention": (lambda q, k, v, n, o: [
        tpc.attention(q, k, v),
        tpc.attention(q, k, v, causal=True, window=3, scale=0.5, offset=o),
        tpc.attention(q, k, v, lengths=n, softcap=2.0)],
        lambda q, k, v, n, o: [
            attention(q, k, v),
            attention(q, k, v, causal=True, window=3, scale=0.5, offset=o),
            attention(q, k, v, lengths=n, softcap=2.0)],
        Q, K, V, np.array([3, 7]), np.array([2, 1])),
    "attention bias": (lambda q, k, v, b, s: tpc.attention(
        q, k, v, bias=b, sinks=s), lambda q, k, v, b, s: attention(
            q, k, v, bias=b, sinks=s), Q, K, V, normal(1, 2, 3, 5, 7),
        normal(2, 3)),
}


@pytest.mark.parametrize("mesh", [None, {"tp": 2}], ids=["one", "tp=2"])
@pytest.mark.parametrize("name", CASES)
def test_equals_numpy(name, mesh):
    function, reference, *arrays = CASES[name]
    found = run(function, *arrays, mesh=mesh)
    wanted = reference(*arrays)
    wanted = wanted if isinstance(wanted, (list, tuple)) else [wanted]
    if name == "rope":  # pairs: the same numbers in another order, twice
        x, p, f = arrays
        wanted[1] = 2 * rope(x[..., :6], p, f, True)
        wanted[1] = np.concatenate([wanted[1], x[..., 6:]], -1)
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted):
        np.testing.assert_allclose(a.astype(np.float64),
                                   np.asarray(b).astype(np.float64),
                                   rtol=2e-5, atol=2e-5)


def test_every_operation_of_the_dialect_is_there():
    """Operations that the cases above, shards and symbols make."""
    made = set()
    for function, _, *arrays in CASES.values():
        g = tpc.Graph()
        values = [g.input(f"x{i}", array.shape, array.dtype)
                  for i, array in enumerate(arrays)]
        result = function(*values)
        g.output(y=result[0] if isinstance(result, (list, tuple)) else result)
        made |= {word for line in g.to_mlir().splitlines()
                 for word in line.split() if word.startswith("tpc.")}
    beside = {"tpc.mesh", "tpc.parameter", "tpc.state", "tpc.read",
              "tpc.write", "tpc.shard",
              # the compiler's, not the user's
              "tpc.reshard", "tpc.vjp", "tpc.again"}
    assert set(_tpc.operations()) - made - beside == set()


def line_of(error):
    text = str(error.value)
    assert text.startswith(__file__), text
    return int(text[len(__file__) + 1:].split(":")[0])


def here():
    import inspect
    return inspect.currentframe().f_back.f_lineno


BAD = {
    "shapes": (lambda x: x @ x, "expected"),
    "types": (lambda x: tpc.embedding(x, x), "64-bit signless integer"),
    "broadcast": (lambda x: x + np.zeros((5, 5), np.float32), "broadcast"),
    "dimension": (lambda x: x.sum(4), "from -2 to 1"),
    "reshape": (lambda x: x.reshape(5, -1), "24 elements"),
    "reshape exact": (lambda x: x.reshape(5, 5), "elements"),
    "equation": (lambda x: tpc.einsum("a b -> b", x, x), "equation"),
    "equation names": (lambda x: tpc.einsum("a b, b c -> c", x, x.T), "a"),
    "permutation": (lambda x: x.transpose(0, 0), "permutation"),
    "step": (lambda x: x[::2], "step 1"),
    "index": (lambda x: x[9], "found 9"),
    "indices": (lambda x: x[0, 0, 0], "at most 2"),
    "top_k": (lambda x: tpc.top_k(x, 99), "top_k"),
    "form": (lambda x: tpc.gelu(x, "exact"), "exact"),
    "type": (lambda x: x.astype("c8"), "f32"),
    "number": (lambda x: tpc.exp(3.0), "float"),
    "epsilon": (lambda x: tpc.rms_norm(x, x), "rms_norm"),
    "attention": (lambda x: tpc.attention(x, x, x), "[b, s, k, g, d]"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_is_wrong(name):
    function, message = BAD[name]
    x = tpc.Graph().input("x", (4, 6))
    with pytest.raises(tpc.Error, match=".") as error:
        function(x)
    assert message in str(error.value), str(error.value)
    assert str(error.value).startswith(__file__)


def test_errors_of_the_verifier_name_the_line():
    x = tpc.Graph().input("x", (4, 6))
    with pytest.raises(tpc.Error) as error:
        line = here() + 1
        tpc.rms_norm(x, x)
    assert line_of(error) == line


def test_a_value_has_no_truth():
    x = tpc.Graph().input("x", (4, 6))
    with pytest.raises(tpc.Error, match="tpc.where"):
        bool(x > 0)


def test_values_of_two_graphs():
    x, y = (tpc.Graph().input("x", (4, 6)) for _ in range(2))
    with pytest.raises(tpc.Error, match="another graph"):
        ops.add(x, y)
