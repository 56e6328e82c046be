"""The programs of examples/ compile, are proved, and compute what the unsharded
reference does, on several meshes."""

import re

import numpy as np
import pytest

from tools import ROOT, run_model, tool, write_safetensors

EXAMPLES = sorted((ROOT / "examples").glob("*.mlir"))
MESHES = ["tp=1", "tp=2", "tp=3", "tp=4", "tp=8", "dp=2,tp=2"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights for every example, all f32."""
    folder, files = tmp_path_factory.mktemp("weights"), {}
    random = np.random.default_rng(1)
    for example in EXAMPLES:
        arrays = {}
        for name, shape, stored, stored_shape in re.findall(
                r'tpc.parameter @(\S+)\s*: tensor<([\dx]+)xf32>'
                r'(?: from "(\S+)" : tensor<([\dx]+)xf32>)?',
                example.read_text()):
            shape = [int(n) for n in (stored_shape or shape).split("x")]
            arrays[stored or name] = random.normal(
                scale=0.3, size=shape).astype(np.float32)
        files[example] = folder / f"{example.stem}.safetensors"
        write_safetensors(files[example], arrays)
    return files


def entries_of(example):
    """Inputs by entry: floats, or small numbers that are tokens or positions."""
    random = np.random.default_rng(2)
    for entry, arguments in re.findall(r"func.func @(\w+)\((.*?)\)\s*->",
                                       example.read_text(), re.DOTALL):
        inputs = {}
        for i, (shape, element, name) in enumerate(re.findall(
                r'tensor<([\dx]+)x(\w+)>(?: {tpc.name = "(\w+)"})?', arguments)):
            shape = [int(n) for n in shape.split("x")]
            inputs[name or f"arg{i}"] = (
                random.integers(0, 4, shape) if element == "i64" else
                random.normal(size=shape).astype(np.float32))
        yield entry, inputs


@pytest.mark.parametrize("mode", ["auto", "megatron"])
@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example, mesh, mode, weights, tmp_path):
    for entry, inputs in entries_of(example):
        _, report = run_model(example, mesh, inputs, [], tmp_path, "--weights",
                              weights[example], "--mode", mode, "--entry",
                              entry, "--check")
        assert report["check"]["ok"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_needs_no_weights_to_be_planned(example):
    for entry, _ in entries_of(example):
        result = tool("tpc-run", example, "--dry-run", "--entry", entry)
        assert "Proved" in result.stdout


@pytest.mark.parametrize("mesh", MESHES)
def test_decoder_goes_on_where_prefill_ended(mesh, weights, tmp_path):
    """Decoding with the cache, token by token, against the reference; the first
    tokens fill the cache of 10 up."""
    example = ROOT / "examples/llama.mlir"
    prompt = np.array([[3, 1, 4, 1, 5, 9], [2, 6, 5, 3, 5, 8]])
    found, report = run_model(example, mesh, {"input_ids": prompt},
                              ["tokens", "logits"], tmp_path, "--weights",
                              weights[example], "--max-new-tokens", 5, "--check")
    assert report["check"]["ok"]
    assert (found["logits"].argmax(axis=-1) == found["tokens"]).all()
    # What is decoded depends on the cache: each row has its own tokens.
    other, _ = run_model(example, mesh, {"input_ids": prompt[::-1]},
                         ["tokens"], tmp_path, "--weights", weights[example],
                         "--max-new-tokens", 5)
    assert (other["tokens"] == found["tokens"][::-1]).all()
