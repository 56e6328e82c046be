"""Attention as one step: every operand, every split, and long sequences."""

import json

import numpy as np
import pytest

from tools import run_model, tool

# Grouped heads, more keys than queries, sizes that no mesh divides.
B, S, T, K, G, D, V = 3, 13, 22, 6, 2, 8, 5
TYPES = {"q": (B, S, K, G, D), "k": (B, T, K, D), "v": (B, T, K, V),
         "bias": (B, 1, G, S, T), "lengths": (B,), "offset": (B,),
         "sinks": (K, G)}
INTEGERS = {"lengths": "i32", "offset": "i64"}

PROGRAM = """
tpc.mesh @mesh <{axes}>
func.func @main({arguments}) -> (tensor<{result}> {{tpc.name = "y"{pin}}}) {{
  %y = tpc.attention %q, %k, %v bias %bias lengths %lengths offset %offset
      sinks %sinks scale 0.3 {mask} softcap 2.5 : ({types}) -> tensor<{result}>
  return %y : tensor<{result}>
}}
"""


def program(mesh, mask, dims=None):
    """The attention with queries and result split as `dims` says."""
    sizes = {name: f"{'x'.join(map(str, shape))}x{INTEGERS.get(name, 'f32')}"
             for name, shape in TYPES.items()}
    pin = f", tpc.sharding = #tpc.sharding<@mesh, {dims}>" if dims else ""
    return PROGRAM.format(
        axes=", ".join('"{}" = {}'.format(*axis.split("="))
                       for axis in mesh.split(",")),
        arguments=", ".join(
            f'%{name}: tensor<{size}> {{tpc.name = "{name}"'
            f'{pin if name == "q" else ""}}}'
            for name, size in sizes.items()),
        types=", ".join(f"tensor<{size}>" for size in sizes.values()),
        result=f"{B}x{S}x{K}x{G}x{V}xf32", pin=pin, mask=mask)


def inputs():
    random = np.random.default_rng(3)
    arrays = {name: random.standard_normal(shape).astype(np.float32)
              for name, shape in TYPES.items()}
    arrays["lengths"] = np.array([22, 0, 17], np.int32)
    arrays["offset"] = np.array([9, 4, -3], np.int64)
    return arrays


def attention(x, causal, window):
    """What docs/reference/tpc.md says, in float64; window 0 is none."""
    x = {name: array.astype(np.float64) for name, array in x.items()}
    score = np.einsum("bskgd,btkd->bkgst", x["q"], x["k"]) * 0.3
    score = 2.5 * np.tanh(score / 2.5) + x["bias"]
    t = np.arange(T)
    p = np.arange(S)[:, None] + x["offset"][:, None, None]
    visible = np.broadcast_to(t < x["lengths"][:, None, None], (B, S, T))
    if causal:
        visible = visible & (t <= p)
    if window:
        visible = visible & (p - t < window)
        if not causal:
            visible = visible & (t - p < window)
    weight = np.exp(score) * visible[:, None, None]
    weight /= weight.sum(-1, keepdims=True) + np.exp(x["sinks"])[:, :, None, None]
    return np.einsum("bkgst,btkv->bskgv", weight, x["v"])


MESHES = ["tp=1", "tp=2", "tp=3", "tp=4", "tp=8", "dp=2,tp=2"]
# Batch, queries, kv heads, groups; two of them; and the compiler's choice.
SPLITS = {"chosen": None, "batch": '[{"AXIS"}, {}, {}, {}, {}]',
          "queries": '[{}, {"AXIS"}, {}, {}, {}]',
          "heads": '[{}, {}, {"AXIS"}, {}, {}]',
          "groups": '[{}, {}, {}, {"AXIS"}, {}]'}


def check(text, mask, folder, mesh):
    (folder / "attention.mlir").write_text(text)
    found, report = run_model(folder / "attention.mlir", mesh, inputs(), ["y"],
                              folder, "--check", "--quiet")
    assert report["check"]["ok"]
    expected = attention(inputs(), "causal" in mask, 5 if "window" in mask else 0)
    assert np.abs(found["y"] - expected).max() <= 1e-5 * np.abs(expected).max()
    return report


def steps(path, mesh):
    plan = tool("tpc-run", path, "--mesh", mesh, "--emit=plan").stdout
    return plan.count("plan.attention"), plan.count("plan.matmul")


@pytest.mark.parametrize("mesh, mask", [
    *((mesh, "causal window 5") for mesh in MESHES),
    ("tp=3", "causal"), ("tp=3", "window 5")])
@pytest.mark.parametrize("split", SPLITS)
def test_every_operand(mesh, split, mask, tmp_path):
    dims = SPLITS[split] and SPLITS[split].replace("AXIS", "tp")
    check(program(mesh, mask, dims), mask, tmp_path, mesh)
    assert steps(tmp_path / "attention.mlir", mesh) == (1, 0)


def test_queries_and_heads_at_once(tmp_path):
    dims = '[{}, {"dp"}, {"tp"}, {}, {}]'
    check(program("dp=2,tp=4", "causal window 5", dims), "causal window 5",
          tmp_path, "dp=2,tp=4")
    assert steps(tmp_path / "attention.mlir", "dp=2,tp=4") == (1, 0)


# Nothing but memory takes time: 1 GB/s.
MEMORY_ONLY = {"name": "memory", "tflops": {"f64": 1e9, "f32": 1e9, "bf16": 1e9},
               "memory_gb_per_s": 1, "operation_us": 0,
               "links": [{"name": "all", "algorithms": [
                   {"name": "ring", "kind": "ring", "base_us": 0, "hop_us": 0,
                    "gb_per_s": 1e9}]}]}

PRICED = """
tpc.mesh @mesh <"tp" = 2>
func.func @main(%q: tensor<1x64x1x1x32xf32> {{tpc.sharding = #tpc.sharding<@mesh, [{{}}, {{{queries}}}, {{}}, {{}}, {{}}]>}},
    %k: tensor<1x128x1x32xf32> {{tpc.sharding = #tpc.sharding<@mesh, [{{}}, {{{keys}}}, {{}}, {{}}]>}},
    %v: tensor<1x128x1x32xf32> {{tpc.sharding = #tpc.sharding<@mesh, [{{}}, {{{keys}}}, {{}}, {{}}]>}}) -> (tensor<1x64x1x1x32xf32> {{tpc.sharding = #tpc.sharding<@mesh, [{{}}, {{{queries}}}, {{}}, {{}}, {{}}]>}}) {{
  %y = tpc.attention %q, %k, %v scale 0.125 causal : (tensor<1x64x1x1x32xf32>, tensor<1x128x1x32xf32>, tensor<1x128x1x32xf32>) -> tensor<1x64x1x1x32xf32>
  return %y : tensor<1x64x1x1x32xf32>
}}
"""


@pytest.mark.parametrize("queries, keys, bytes", [
    # Every operand is read once, the result written.
    ("", "", 4 * 32 * (64 + 128 + 128 + 64)),
    ('"tp"', "", 4 * 32 * (32 + 128 + 128 + 32)),
    # Expanded: scores and weights are written and read besides.
    ("", '"tp"', 4 * 32 * (64 + 64 + 64 + 64) + 2 * 4 * 2 * 64 * 64),
])
def test_predicted_time(queries, keys, bytes, tmp_path):
    (tmp_path / "machine.json").write_text(json.dumps(MEMORY_ONLY))
    (tmp_path / "priced.mlir").write_text(
        PRICED.format(queries=queries, keys=keys))
    tool("tpc-run", tmp_path / "priced.mlir", "--dry-run", "--mode=propagate",
         "--machine", tmp_path / "machine.json", "--report",
         tmp_path / "report.json")
    [part] = json.loads((tmp_path / "report.json").read_text())[
        "predicted"]["main"]["parts"]
    assert part["operations"] == 1
    assert part["compute_us"] == pytest.approx(bytes / 1000)


LONG = """
tpc.mesh @mesh <"tp" = 1>
func.func @main(%q: tensor<1x{n}x1x1x64xf32> {{tpc.name = "q"}}, %k: tensor<1x{n}x1x64xf32> {{tpc.name = "k"}}, %v: tensor<1x{n}x1x64xf32> {{tpc.name = "v"}}) -> (tensor<1x{n}x1x1x64xf32> {{tpc.name = "y"}}) {{
  %y = tpc.attention %q, %k, %v scale 0.125 causal : (tensor<1x{n}x1x1x64xf32>, tensor<1x{n}x1x64xf32>, tensor<1x{n}x1x64xf32>) -> tensor<1x{n}x1x1x64xf32>
  return %y : tensor<1x{n}x1x1x64xf32>
}}
"""


def test_memory_is_linear_in_the_length(tmp_path):
    """32768 queries and keys: the scores alone would be 4 GiB."""
    random = np.random.default_rng(4)
    n = 32768
    x = {name: random.standard_normal(
             (1, n, 1, 64) if name != "q" else (1, n, 1, 1, 64)).astype("f4")
         for name in "qkv"}
    (tmp_path / "long.mlir").write_text(LONG.format(n=n))
    found, report = run_model(tmp_path / "long.mlir", "tp=1", x, ["y"],
                              tmp_path, "--quiet")
    tensor = n * 64 * 4
    [device] = report["runtime"]["devices"]
    assert device["arena_bytes"] == 4 * tensor
    assert device["scratch_bytes"] <= tensor
    assert (report["predicted"]["main"]["peak_bytes"]
            == 4 * tensor + device["scratch_bytes"])
    # Some rows, in float64.
    for row in [0, 1, 63, 4097, n - 1]:
        score = x["k"][0, :row + 1, 0].astype("f8") @ x["q"][0, row, 0, 0] / 8
        weight = np.exp(score - score.max())
        expected = weight / weight.sum() @ x["v"][0, :row + 1, 0]
        assert np.abs(found["y"][0, row, 0, 0] - expected).max() <= 1e-5
