"""Every composite operation of the reference evaluator, in every form, against
its definition in NumPy (double precision)."""

import math

import numpy as np
import pytest

from reference import BF16, check, evaluate, tensor_type, to_bf16

rng = np.random.default_rng(1)


def floats(*shape, bf16=False):
    x = rng.standard_normal(shape)
    return to_bf16(x) if bf16 else x.astype(np.float32)


def apply(text, inputs, result):
    types = ", ".join(tensor_type(x) for x in inputs)
    return evaluate(f"%y = tpc.{text} : ({types}) -> {result}", inputs)


def softmax(x):
    """Over the last dimension; rows of -inf give 0."""
    peak = np.max(x, axis=-1, keepdims=True)
    weights = np.exp(x - np.where(np.isinf(peak), 0, peak))
    total = weights.sum(-1, keepdims=True)
    return weights / np.where(total == 0, 1, total)


def tolerance(bf16):
    return 2**-7 if bf16 else 1e-5


@pytest.mark.parametrize("bf16", [False, True])
def test_softmax(bf16):
    x = floats(4, 7, bf16=bf16)
    x[1, 2:5] = -np.inf
    x[2, :] = -np.inf
    x[3, :] *= 100
    x = to_bf16(x) if bf16 else x
    expected = softmax(x.astype(np.float64))
    found = apply("softmax %0", [x], tensor_type(x))
    check(found, expected, tolerance(bf16))
    check(found[2], np.zeros(7))
    if bf16:  # computed in f32 and rounded once
        check(found, to_bf16(expected.astype(np.float32)), 2**-8 * 1e-3)


def test_softmax_of_large_logits_is_finite():
    x = np.array([[1e4, 1e4, -1e4]], np.float32)
    check(apply("softmax %0", [x], tensor_type(x)), np.array([[0.5, 0.5, 0]]))


@pytest.mark.parametrize("bf16", [False, True])
def test_cross_entropy(bf16):
    x, labels = floats(3, 4, 7, bf16=bf16), np.array([[0, 6, 3, -100], [7, 1, 1, 2], [5, 5, 5, 0]], np.int64)
    x[0, 1, :3] = -np.inf
    x[2, 0, :] *= 100
    x = to_bf16(x) if bf16 else x
    x64 = x.astype(np.float64)
    peak = x64.max(-1, keepdims=True)
    log_sum = np.log(np.exp(x64 - peak).sum(-1)) + peak[..., 0]
    logit = np.take_along_axis(x64, np.clip(labels, 0, 6)[..., None], -1)[..., 0]
    expected = np.where((labels >= 0) & (labels < 7), log_sum - logit, 0)
    check(apply("cross_entropy %0, %1", [x, labels], "tensor<3x4xf32>"), expected, 1e-5)


@pytest.mark.parametrize("bf16", [False, True])
def test_layer_norm(bf16):
    x, w, b = floats(3, 5, 8, bf16=bf16), floats(8, bf16=bf16), floats(8, bf16=bf16)
    x64 = x.astype(np.float64)
    mean = x64.mean(-1, keepdims=True)
    variance = ((x64 - mean) ** 2).mean(-1, keepdims=True)
    expected = (x64 - mean) / np.sqrt(variance + 1e-3) * w + b
    check(apply("layer_norm %0, %1, %2 epsilon 1.0e-3", [x, w, b], tensor_type(x)), expected, tolerance(bf16))


def test_layer_norm_of_constant_rows():
    x, w, b = np.full((2, 4), 3, np.float32), floats(4), floats(4)
    check(apply("layer_norm %0, %1, %2 epsilon 1.0e-5", [x, w, b], tensor_type(x)), np.tile(b, (2, 1)), 1e-6)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("form", ["erf", "tanh"])
def test_gelu(form, bf16):
    x = floats(50, bf16=bf16) * 3
    x = to_bf16(x) if bf16 else x
    x64 = x.astype(np.float64)
    if form == "erf":
        expected = x64 / 2 * (1 + np.vectorize(math.erf)(x64 / math.sqrt(2)))
    else:
        expected = x64 / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x64 + 0.044715 * x64**3)))
    check(apply(f"gelu {form} %0", [x], tensor_type(x)), expected, tolerance(bf16))


@pytest.mark.parametrize("bf16", [False, True])
def test_rms_norm(bf16):
    x, w = floats(3, 5, 8, bf16=bf16), floats(8, bf16=bf16)
    x64 = x.astype(np.float64)
    expected = x64 / np.sqrt((x64**2).mean(-1, keepdims=True) + 1e-3) * w
    check(apply("rms_norm %0, %1 epsilon 1.0e-3", [x, w], tensor_type(x)), expected, tolerance(bf16))


@pytest.mark.parametrize("bf16", [False, True])
def test_silu(bf16):
    x = floats(50, bf16=bf16) * 3
    x = to_bf16(x) if bf16 else x
    x64 = x.astype(np.float64)
    check(apply("silu %0", [x], tensor_type(x)), x64 / (1 + np.exp(-x64)), tolerance(bf16))


def test_silu_of_large_values_is_finite():
    x = np.array([-200, -1e30, 200, 1e30], np.float32)
    check(apply("silu %0", [x], tensor_type(x)), np.array([0, 0, 200, 1e30]))


def rope(form, x, positions, frequencies, scale):
    """Turns one pair after the other, as complex numbers."""
    result = x.astype(np.float64)
    for at in np.ndindex(x.shape[:-1]):
        position = positions[at[:positions.ndim]]
        for i, frequency in enumerate(frequencies.astype(np.float64)):
            pair = [i, len(frequencies) + i] if form == "halves" else [2 * i, 2 * i + 1]
            turned = complex(*x[at][pair]) * np.exp(1j * position * frequency) * scale
            result[at][pair] = turned.real, turned.imag
    return result


@pytest.mark.parametrize("rest", [0, 3])
@pytest.mark.parametrize("scale", [1.0, 1.25])
@pytest.mark.parametrize("form", ["halves", "pairs"])
def test_rope(form, scale, rest):
    x = floats(2, 3, 2, 6 + rest)
    positions = np.array([[0, 1, 7], [30, 2, 1000]], np.int64)
    frequencies = np.array([1, 0.25, 0.01], np.float32)
    found = apply(f"rope {form} %0, %1, %2 scale {scale}", [x, positions, frequencies], tensor_type(x))
    check(found, rope(form, x, positions, frequencies, scale), 2e-5)


def test_rope_of_one_position_for_all():
    x, frequencies = floats(5, 4, bf16=True), np.array([0.5, 0.125], np.float32)
    found = apply("rope halves %0, %1, %2 scale 1.0", [x, np.array(3, np.int32), frequencies], tensor_type(x))
    check(found, rope("halves", x, np.array(3), frequencies, 1), 2**-7)


def test_linear():
    x, w, b = floats(2, 3, 4), floats(4, 5, 6), floats(5, 6)
    expected = np.einsum("bse,ehd->bshd", x.astype(np.float64), w) + b
    check(apply('linear %0, %1, %2 "b s e, e h d -> b s h d"', [x, w, b], "tensor<2x3x5x6xf32>"), expected, 1e-5)


def test_linear_rounds_the_product_to_the_result_type():
    x, w, b = floats(2, 40, bf16=True), floats(40, 3, bf16=True), floats(3, bf16=True)
    product = to_bf16(x.astype(np.float64) @ w.astype(np.float64))
    expected = to_bf16(product.astype(np.float64) + b)
    check(apply('linear %0, %1, %2 "m k, k n -> m n"', [x, w, b], "tensor<2x3xbf16>"), expected)


def test_embedding():
    table, tokens = floats(7, 4), np.array([[0, 6, 7], [-1, 3, 3]], np.int32)
    expected = np.where(((tokens >= 0) & (tokens < 7))[..., None], table[np.clip(tokens, 0, 6)], 0)
    check(apply("embedding %0, %1", [table, tokens], "tensor<2x3x4xf32>"), expected)


# Attention -----------------------------------------------------------------

B, S, T, K, G, D, V = 2, 3, 5, 2, 3, 4, 6


def attention(query, key, value, scale, bias=None, lengths=None, offset=None, sinks=None,
              causal=False, window=None, softcap=None):
    """One loop per query, straight from the definition."""
    b, s, k, g, _ = query.shape
    t, v = key.shape[1], value.shape[3]
    result = np.zeros((b, s, k, g, v))
    for ib, i, ik, ig in np.ndindex(b, s, k, g):
        logits, visible = [], []
        for j in range(t):
            score = scale * float(query[ib, i, ik, ig].astype(np.float64) @ key[ib, j, ik].astype(np.float64))
            if softcap is not None:
                score = softcap * math.tanh(score / softcap)
            if bias is not None:
                score += np.broadcast_to(bias, (b, k, g, s, t))[ib, ik, ig, i, j]
            p = i + (0 if offset is None else int(np.broadcast_to(offset, b)[ib]))
            sees = True
            if lengths is not None:
                sees &= j < lengths[ib]
            if causal:
                sees &= j <= p
            if window is not None:
                sees &= j > p - window
                if not causal:
                    sees &= j < p + window
            if sees:
                visible.append(j)
                logits.append(score)
        if not visible:
            continue
        if sinks is not None:
            logits.append(float(sinks[ik, ig]))
        weights = np.exp(np.array(logits) - max(logits))
        weights /= weights.sum()
        for weight, j in zip(weights, visible):
            result[ib, i, ik, ig] += weight * value[ib, j, ik]
    return result


def run_attention(query, key, value, scale, **options):
    inputs, text = [query, key, value], "attention %0, %1, %2"
    for name in ("bias", "lengths", "offset", "sinks"):
        if options.get(name) is not None:
            text += f" {name} %{len(inputs)}"
            inputs.append(options[name])
    text += f" scale {scale!r}"
    if options.get("causal"):
        text += " causal"
    if options.get("window"):
        text += f" window {options['window']}"
    if options.get("softcap"):
        text += f" softcap {options['softcap']!r}"
    b, s, k, g, _ = query.shape
    element = "bf16" if isinstance(query, BF16) else "f32"
    return apply(text, inputs, f"tensor<{b}x{s}x{k}x{g}x{value.shape[3]}x{element}>")


ATTENTION = {
    "plain": {},
    "causal": dict(causal=True),
    "causal offset": dict(causal=True, offset=np.array(2, np.int32)),
    "offset per row": dict(causal=True, window=2, offset=np.array([3, 0], np.int64)),
    "negative offset": dict(causal=True, offset=np.array(-2, np.int64)),
    "window": dict(window=2),
    "window offset": dict(window=2, offset=np.array(3, np.int32)),
    "causal window": dict(causal=True, window=2, offset=np.array(1, np.int32)),
    "softcap": dict(softcap=0.7),
    "bias": dict(bias=floats(B, K, G, S, T)),
    "broadcast bias": dict(bias=floats(1, K, 1, 1, T)),
    "lengths": dict(lengths=np.array([2, 5], np.int32)),
    "empty length": dict(lengths=np.array([0, 3], np.int64)),
    "sinks": dict(sinks=floats(K, G)),
    "sinks and nothing visible": dict(sinks=floats(K, G), lengths=np.array([0, 1], np.int32)),
    "all": dict(bias=floats(B, 1, G, 1, T), lengths=np.array([4, 2], np.int32), offset=np.array(1, np.int64),
                sinks=floats(K, G), causal=True, window=3, softcap=1.5),
}


@pytest.mark.parametrize("form", ATTENTION)
def test_attention(form):
    query, key, value = floats(B, S, K, G, D), floats(B, T, K, D), floats(B, T, K, V)
    expected = attention(query, key, value, 0.5, **ATTENTION[form])
    check(run_attention(query, key, value, 0.5, **ATTENTION[form]), expected, 1e-5)


@pytest.mark.parametrize("form", ["plain", "all"])
def test_attention_in_bf16(form):
    query, key, value = (floats(*shape, bf16=True) for shape in
                         [(B, S, K, G, D), (B, T, K, D), (B, T, K, V)])
    options = {name: to_bf16(x) if isinstance(x, np.ndarray) and x.dtype == np.float32 else x
               for name, x in ATTENTION[form].items()}
    expected = attention(query, key, value, 0.5, **options)
    check(run_attention(query, key, value, 0.5, **options), expected, 2**-6)


def test_query_that_sees_nothing_gives_zeros():
    query, key, value = floats(B, S, K, G, D), floats(B, T, K, D), floats(B, T, K, V)
    found = run_attention(query, key, value, 1.0, causal=True, offset=np.array(-1, np.int32))
    check(found[:, 0], np.zeros((B, K, G, V)))
    assert np.all(found[:, 1] != 0)


def test_infinite_values_behind_the_mask_do_not_matter():
    query, key, value = floats(B, S, K, G, D), floats(B, T, K, D), floats(B, T, K, V)
    lengths = np.array([3, 3], np.int32)
    expected = run_attention(query, key, value, 1.0, lengths=lengths)
    key[:, 3:] = 1e30
    check(run_attention(query, key, value, 1.0, lengths=lengths), expected)


# Experts ---------------------------------------------------------------------

def chosen_rows(rows, choices, weights):
    """[n, d] or [n, c, d] through the matrices [e, d, f] that they choose."""
    result = np.zeros((*choices.shape, weights.shape[2]), np.float32)
    for index in np.ndindex(*choices.shape):
        if 0 <= choices[index] < len(weights):
            row = rows[index if rows.ndim > choices.ndim else index[:-1]]
            result[index] = row @ weights[choices[index]]
    return result


@pytest.mark.parametrize("row_per_choice", [False, True])
def test_grouped_matmul(row_per_choice):
    choices = np.array([[[0, 3], [2, 2]], [[-1, 1], [4, 0]], [[1, 2], [3, 0]]])
    rows = floats(3, 2, 2, 5) if row_per_choice else floats(3, 2, 5)
    weights = floats(4, 5, 6)
    found = apply("grouped_matmul %0, %1, %2", [rows, choices, weights], "tensor<3x2x2x6xf32>")
    check(found, chosen_rows(rows, choices, weights), 1e-5)


def test_experts():
    x, scores = floats(4, 5), floats(4, 2)
    choices = np.array([[0, 2], [1, 1], [5, 2], [-7, 0]])
    gate, up, down = floats(3, 5, 6), floats(3, 5, 6), floats(3, 6, 7)
    g, u = chosen_rows(x, choices, gate), chosen_rows(x, choices, up)
    each = chosen_rows(g / (1 + np.exp(-g)) * u, choices, down)
    found = apply("experts %0, %1, %2, %3, %4, %5", [x, choices, scores, gate, up, down], "tensor<4x7xf32>")
    check(found, np.einsum("nc,nch->nh", scores, each), 1e-5)
