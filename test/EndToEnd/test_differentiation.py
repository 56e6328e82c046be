"""Gradients of whole models: of tpc-differentiate, run by the reference
evaluator and split over devices, against NumPy.

The NumPy side knows nothing of reverse mode: the model's loss is written for
complex numbers, and its derivative with respect to one element is
Im loss(x + ih) / h, which has no cancellation (Squire and Trapp, SIAM Review
40(1), 1998)."""

import math

import numpy as np
import pytest

from tools import ROOT, tool, write_safetensors

INPUTS = ROOT / "test/EndToEnd/Inputs"
STEP = 1e-30
# A bias of keys moves all scores of a query alike, which softmax does not see:
# what is found is rounding, with no size of its own to compare with.
WITHOUT_GRADIENT = {"bk"}
SAMPLES = 24  # elements of each parameter


# Functions of complex numbers; maxima and comparisons look at the real part.


def softmax(x):
    e = np.exp(x - x.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def erf(x):
    real = np.vectorize(math.erf)(x.real)
    return real + 1j * x.imag * 2 / math.sqrt(math.pi) * np.exp(-x.real**2)


def gelu(x):
    return x / 2 * (1 + erf(x / math.sqrt(2)))


def silu(x):
    return x / (1 + np.exp(-x))


def rms_norm(x, weight):
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight


def layer_norm(x, weight, bias):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight + bias


def mean_loss(logits, labels):
    """Sum of -ln softmax at the labels that are classes, over all labels."""
    weights = softmax(logits)
    total = 0
    for index in np.ndindex(labels.shape):
        if 0 <= labels[index] < logits.shape[-1]:
            total = total - np.log(weights[index][labels[index]])
    return total / labels.size


def attention(q, k, v, scale, visible):
    """q [b, s, k, g, d], visible [b, s, t]."""
    scores = scale * np.einsum("bskgd,btkd->bkgst", q, k)
    scores = np.where(visible[:, None, None], scores, -1e300)
    return np.einsum("bkgst,btkv->bskgv", softmax(scores), v)


def rope(x, positions):
    angle = positions[..., None] * np.array([1.0, 0.1])
    angle = angle.reshape(angle.shape[:2] + (1,) * (x.ndim - 3) + (2,))
    a, b = x[..., :2], x[..., 2:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle),
                           b * np.cos(angle) + a * np.sin(angle)], -1)


# The models of test/EndToEnd/Inputs.


def mlp(p, x, labels):
    hidden = gelu(x @ p["up"] + p["up_bias"])
    return mean_loss(hidden @ p["down"] + p["down_bias"], labels)


def decoder(p, tokens, labels, positions):
    x = p["table"][tokens]
    n = rms_norm(x, p["norm1"])
    q = rope(np.einsum("bse,ekgd->bskgd", n, p["wq"]), positions)
    k = rope(np.einsum("bse,ekd->bskd", n, p["wk"]), positions)
    v = np.einsum("bse,ekd->bskd", n, p["wv"])
    size = tokens.shape[1]
    causal = np.tril(np.ones((size, size), bool))[None].repeat(len(tokens), 0)
    mixed = attention(q, k, v, 0.5, causal)
    x = x + np.einsum("bskgd,kgde->bse", mixed, p["wo"])
    n = rms_norm(x, p["norm2"])
    x = x + (silu(n @ p["gate"]) * (n @ p["up"])) @ p["down"]
    return mean_loss(rms_norm(x, p["norm3"]) @ p["table"].T, labels)


def encoder(p, tokens, lengths, labels):
    x = layer_norm(p["table"][tokens] + p["place"], p["norm0"], p["shift0"])
    q = np.einsum("bse,ekgd->bskgd", x, p["wq"]) + p["bq"]
    k = np.einsum("bse,ekd->bskd", x, p["wk"]) + p["bk"]
    v = np.einsum("bse,ekd->bskd", x, p["wv"]) + p["bv"]
    size = tokens.shape[1]
    visible = (np.arange(size) < lengths[:, None])[:, None].repeat(size, 1)
    mixed = attention(q, k, v, 0.7, visible)
    o = np.einsum("bskgd,kgde->bse", mixed, p["wo"]) + p["bo"]
    x = layer_norm(x + o, p["norm1"], p["shift1"])
    hidden = gelu(x @ p["up"] + p["up_bias"])
    x = layer_norm(x + hidden @ p["down"] + p["down_bias"], p["norm2"], p["shift2"])
    return mean_loss(x @ p["head"] + p["head_bias"], labels)


def experts(p, x, labels):
    h = rms_norm(x, p["norm"])
    scores = softmax(h @ p["router"])
    rows = []
    for row, score in zip(h, scores):
        best = np.argsort(-score.real, kind="stable")[:2]
        rows.append(sum(
            score[i] / score[best].sum()
            * ((silu(row @ p["gate"][i]) * (row @ p["up"][i])) @ p["down"][i])
            for i in best))
    return mean_loss((x + np.array(rows)) @ p["head"], labels)


rng = np.random.default_rng(3)
TOKENS = rng.integers(0, 11, (2, 6))
LABELS = rng.integers(0, 11, (2, 6))
LABELS[1, 4:] = -100
X = rng.standard_normal((6, 8)).astype(np.float32)
CLASSES = rng.integers(0, 5, 6)
MODELS = {
    "mlp": (mlp, {"x": X, "labels": CLASSES}),
    "decoder": (decoder, {"tokens": TOKENS, "labels": LABELS,
                          "positions": np.arange(6)[None].repeat(2, 0)}),
    "encoder": (encoder, {"tokens": TOKENS, "lengths": np.array([6, 4]),
                          "labels": LABELS}),
    "experts": (experts, {"x": X, "labels": CLASSES}),
}


def parameters_of(path):
    """Random values of the parameters that a module declares."""
    values = {}
    rng = np.random.default_rng(4)
    for line in path.read_text().splitlines():
        if line.startswith("tpc.parameter"):
            name, shape = line.removeprefix("tpc.parameter @").split(" : tensor<")
            sizes = [int(n) for n in shape.split("x")[:-1]]
            values[name] = (rng.standard_normal(sizes) * 0.5).astype(np.float32)
    return values


def expected_gradients(loss, parameters, inputs):
    """(name, elements, derivatives) of some elements of each parameter."""
    exact = {name: value.astype(complex) for name, value in parameters.items()}
    rng = np.random.default_rng(5)
    for name in sorted(exact.keys() - WITHOUT_GRADIENT):
        value = exact[name]
        elements = rng.permutation(value.size)[:SAMPLES]
        derivatives = []
        for element in elements:
            value.flat[element] += 1j * STEP
            derivatives.append(loss(exact, **inputs).imag / STEP)
            value.flat[element] = value.flat[element].real
        yield name, elements, np.array(derivatives)


class Differentiated:
    """A model with gradients, its values, and what NumPy says."""

    def __init__(self, name, folder):
        loss, self.inputs = MODELS[name]
        source = INPUTS / f"{name}_loss.mlir"
        self.folder, self.model = folder, folder / "model.mlir"
        self.parameters = parameters_of(source)
        names = ",".join(sorted(self.parameters.keys() - WITHOUT_GRADIENT))
        tool("tpc-opt", source, f"--tpc-differentiate=entry=main wrt={names}", "-o", self.model)
        self.loss = loss({n: v.astype(complex) for n, v in self.parameters.items()},
                         **self.inputs).real
        self.gradients = list(expected_gradients(loss, self.parameters, self.inputs))
        for key, value in (self.inputs | self.parameters).items():
            np.save(folder / f"{key}.npy", value)
        write_safetensors(folder / "weights.safetensors", self.parameters)

    def check(self, read, tolerance):
        """Relative to the largest derivative of each parameter."""
        assert abs(read("loss") - self.loss) < tolerance * abs(self.loss)
        for name, elements, expected in self.gradients:
            found = read(f"grad.{name}")
            assert found.shape == self.parameters[name].shape
            error = np.abs(found.reshape(-1)[elements] - expected).max()
            assert error <= tolerance * np.abs(expected).max(), name


@pytest.fixture(scope="module", params=MODELS)
def differentiated(request, tmp_path_factory):
    return Differentiated(request.param, tmp_path_factory.mktemp(request.param))


def test_reference(differentiated):
    d = differentiated
    inputs = [part for key in d.inputs for part in ("--input", d.folder / f"{key}.npy")]
    tool("tpc-eval", d.model, *inputs, "--parameters", d.folder,
         "--output-dir", d.folder / "reference")
    d.check(lambda name: np.load(d.folder / "reference" / f"{name}.npy"), 2e-5)


@pytest.mark.parametrize("mesh", ["tp=2", "dp=2"])
@pytest.mark.parametrize("mode", ["auto", "megatron"])
def test_split(differentiated, mesh, mode):
    d = differentiated
    out = d.folder / f"{mode}-{mesh}"
    out.mkdir()
    arguments = [part for key in d.inputs
                 for part in ("--input", f"{key}=@{d.folder}/{key}.npy")]
    for name in ["loss", *(f"grad.{name}" for name, _, _ in d.gradients)]:
        arguments += ["--output", f"{name}=@{out}/{name}.npy"]
    tool("tpc-run", d.model, "--mesh", mesh, "--mode", mode, "--search-time", 1,
         "--weights", d.folder / "weights.safetensors", "--check", "--quiet", *arguments)
    d.check(lambda name: np.load(out / f"{name}.npy"), 2e-5)
