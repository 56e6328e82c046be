"""Decoders from Hugging Face directories against what transformers computes.

The models are in test/data/hf; `TPC_HF_FIXTURES` names a directory with more of
the same layout, of which those run that the importer knows.
"""

import json
import os
import pathlib

import numpy as np
import pytest

from tools import ROOT, read_safetensors, run_model, tool

KNOWN = ["LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM"]
MESHES = ["tp=1", "tp=2", "tp=3", "tp=4", "tp=8", "dp=2,tp=2"]
FULL = ["--entry", "prefill", "--logits", "all"]


def fixtures(pattern):
    folders = [ROOT / "test/data/hf"]
    if "TPC_HF_FIXTURES" in os.environ:
        folders.append(pathlib.Path(os.environ["TPC_HF_FIXTURES"]))
    found = {}
    for folder in folders:
        for config in sorted(folder.glob(pattern)):
            if json.loads(config.read_text())["architectures"][0] in KNOWN:
                found[config.parents[1].name] = config.parents[1]
    return found


FIXTURES = fixtures("*/model/config.json")
STORED_IN_BF16 = fixtures("bf16/*/model/config.json")


def close(found, expected, tolerance=1e-4):
    """Within a share of the largest magnitude; 1e-4 is the fixtures' own."""
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def bf16(array):
    """What NumPy reads as two bytes, as f32."""
    return (array.view(np.uint16).astype(np.uint32) << 16).view(np.float32)


def to_the_left(tokens, mask):
    """Rows with their padding after the tokens, and their lengths."""
    rows = np.full_like(tokens, 5)  # anything: what follows is not looked at
    for row, tokens_of_row, real in zip(rows, tokens, mask.astype(bool)):
        row[:real.sum()] = tokens_of_row[real]
    return rows, mask.sum(axis=1)


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("name", FIXTURES)
def test_prefill_equals_transformers(name, mesh, tmp_path):
    expected = read_safetensors(FIXTURES[name] / "expected.safetensors")
    found, _ = run_model(FIXTURES[name] / "model", mesh,
                         {"input_ids": expected["input_ids"]}, ["logits"],
                         tmp_path, *FULL)
    close(found["logits"], expected["logits"])


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("name", FIXTURES)
def test_greedy_continuation_equals_transformers(name, mesh, tmp_path):
    expected = read_safetensors(FIXTURES[name] / "expected.safetensors")
    found, _ = run_model(FIXTURES[name] / "model", mesh,
                         {"input_ids": expected["input_ids"]},
                         ["tokens", "logits"], tmp_path, "--generate", 16)
    assert found["tokens"][0].tolist() == expected["greedy.tokens"].tolist()
    close(found["logits"][0], expected["greedy.logits"])


@pytest.mark.parametrize("mesh", ["tp=1", "tp=3", "dp=2,tp=2"])
@pytest.mark.parametrize("name", FIXTURES)
def test_rows_of_different_lengths(name, mesh, tmp_path):
    """The logits of each row's last token; transformers pads on the left, but a
    row's logits do not depend on where its padding is."""
    expected = read_safetensors(FIXTURES[name] / "expected.safetensors")
    mask = expected["padded.attention_mask"]
    rows, lengths = to_the_left(expected["padded.input_ids"], mask)
    assert len(set(lengths)) > 1
    found, _ = run_model(FIXTURES[name] / "model", mesh,
                         {"input_ids": rows, "lengths": lengths}, ["logits"],
                         tmp_path)
    close(found["logits"], expected["padded.logits"][:, -1])


@pytest.mark.parametrize("mesh", ["tp=1", "tp=2", "dp=2,tp=2"])
@pytest.mark.parametrize("name", FIXTURES)
def test_rows_of_different_lengths_are_continued_each_for_itself(
        name, mesh, tmp_path):
    """A row whose prompt ends with tokens that transformers generated goes on
    as transformers does."""
    expected = read_safetensors(FIXTURES[name] / "expected.safetensors")
    prompt, greedy = expected["input_ids"][0], expected["greedy.tokens"]
    long = np.concatenate([prompt, greedy[:3]])
    rows, lengths = to_the_left(
        np.stack([long, np.concatenate([prompt, [7, 7, 7]])]),
        np.array([[1] * 15, [1] * 12 + [0] * 3]))
    found, report = run_model(FIXTURES[name] / "model", mesh,
                              {"input_ids": rows, "lengths": lengths},
                              ["tokens", "logits"], tmp_path, "--generate", 8,
                              "--check")
    assert found["tokens"][0].tolist() == greedy[3:11].tolist()
    assert found["tokens"][1].tolist() == greedy[:8].tolist()
    close(found["logits"][0], expected["greedy.logits"][3:11])
    close(found["logits"][1], expected["greedy.logits"][:8])
    assert report["check"]["ok"]


@pytest.mark.parametrize("name", [name for name in FIXTURES
                                  if (FIXTURES[name] /
                                      "config.legacy.json").exists()])
def test_old_spelling_of_the_configuration(name, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    for file in (FIXTURES[name] / "model").glob("model*"):
        (model / file.name).symlink_to(file)
    (model / "config.json").write_text(
        (FIXTURES[name] / "config.legacy.json").read_text())
    expected = read_safetensors(FIXTURES[name] / "expected.safetensors")
    found, _ = run_model(model, "tp=2", {"input_ids": expected["input_ids"]},
                         ["logits"], tmp_path, *FULL)
    close(found["logits"], expected["logits"])


@pytest.mark.parametrize("element, tolerance", [("f32", 1e-4),
                                                ("stored", 4e-2)])
@pytest.mark.parametrize("name", STORED_IN_BF16)
def test_weights_stored_in_bf16(name, element, tolerance, tmp_path):
    expected = read_safetensors(STORED_IN_BF16[name] / "expected.safetensors")
    found, report = run_model(STORED_IN_BF16[name] / "model", "tp=2",
                              {"input_ids": expected["input_ids"]}, ["logits"],
                              tmp_path, *FULL, "--element", element)
    logits = found["logits"] if element == "f32" else bf16(found["logits"])
    close(logits, expected["logits_f32"], tolerance)


# Bytes of all parameters in bf16: published numbers of parameters times 2.
PARAMETERS = {"Llama-3-8B": 8_030_261_248, "Llama-3-70B": 70_553_706_496,
              "Llama-3.1-405B": 405_853_388_800}


@pytest.mark.parametrize("name", PARAMETERS)
def test_large_configurations_compile_without_weights(name, tmp_path):
    """Memory per device is a share of the published size, plus the vectors
    that every device has whole."""
    config = json.loads(
        (ROOT / f"examples/configs/{name}/config.json").read_text())
    tool("tpc-run", ROOT / "examples/configs" / name, "--mesh", "tp=8",
         "--dry-run", "--quiet", "--element", "stored", "--length", 512,
         "--context", 1024, "--report", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    vectors = (2 * layers + 1) * hidden
    matrices = PARAMETERS[name] - vectors
    assert report["memory"]["weights"] == 2 * (matrices // 8 + vectors)
    # Keys and values of 1024 tokens: one of 8 heads of 128 elements.
    assert report["memory"]["states"] == layers * 2 * 1024 * 128 * 2
    assert report["seconds"]["import"] < 0.5


def config_with(tmp_path, **changes):
    config = json.loads(
        (ROOT / "test/data/hf/llama_rope3/model/config.json").read_text())
    config.update(changes)
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


BAD = {
    "heads": ({"num_key_value_heads": 3}, [], "num_key_value_heads"),
    "activation": ({"hidden_act": "gelu"}, [], "silu"),
    "rope kind": ({"rope_parameters": {"rope_type": "spiral"}}, [],
                  "spiral"),
    "rope factor": ({"rope_parameters": {"rope_type": "linear"}}, [],
                    "rope_parameters.factor"),
    "rope section": ({"rope_parameters": 3}, [], "an object"),
    "odd part": ({"partial_rotary_factor": 0.25}, [], "partial_rotary_factor"),
    "element": ({}, ["--element", "int4"], "int4"),
    "context": ({}, ["--length", "16", "--context", "8"], "--context"),
    "context of generation": ({}, ["--length", "16", "--context", "18",
                                   "--generate", "8"], "23"),
    "entry": ({}, ["--entry", "main"], "prefill, decode"),
    "entry and generation": ({}, ["--entry", "decode", "--generate", "2"],
                             "--entry"),
    "logits": ({}, ["--logits", "some"], "last or all"),
    "logits of generation": ({}, ["--logits", "all", "--generate", "2"],
                             "--logits"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_models_and_options_are_explained(case, tmp_path):
    changes, options, expected = BAD[case]
    result = tool("tpc-run", config_with(tmp_path, **changes), "--dry-run",
                  *options, check=False)
    assert result.returncode == 1
    assert expected in result.stderr


def test_generation_wants_a_decoder(tmp_path):
    result = tool("tpc-run", ROOT / "examples/mlp.mlir", "--generate", 2,
                  "--dry-run", check=False)
    assert result.returncode == 1
    assert "prefill and decode" in result.stderr


def test_lengths_are_checked(tmp_path):
    model = ROOT / "test/data/hf/llama_rope3/model"
    result = tool("tpc-run", model, "--generate", 2, "--input",
                  "input_ids=1x4xi64=3", "--input", "lengths=1xi64=5",
                  check=False)
    assert result.returncode == 1
    assert "from 1 to 4" in result.stderr
