"""Hugging Face models against what transformers computes for them.

The models are in test/data/hf; `TPC_HF_FIXTURES` names a directory with more of
the same layout, of which those run that the importer knows.
"""

import json
import os
import pathlib

import numpy as np
import pytest

from tools import ROOT, read_safetensors, run_model, tool

KNOWN = ["BertForMaskedLM", "BertModel", "RobertaForMaskedLM", "RobertaModel"]


def fixtures():
    folders = [ROOT / "test/data/hf"]
    if "TPC_HF_FIXTURES" in os.environ:
        folders.append(pathlib.Path(os.environ["TPC_HF_FIXTURES"]))
    found = {}
    for folder in folders:
        for config in sorted(folder.glob("*/model/config.json")):
            if json.loads(config.read_text())["architectures"][0] in KNOWN:
                found[config.parents[1].name] = config.parents[1]
    return found


FIXTURES = fixtures()


def close(found, expected, where=...):
    """Within 1e-4 of the largest magnitude: the tolerance of the fixtures."""
    difference = np.abs(found - expected)[where].max()
    assert difference <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("mesh", ["tp=1", "tp=2", "tp=3", "tp=4", "tp=8",
                                  "dp=2,tp=2"])
@pytest.mark.parametrize("name", FIXTURES)
def test_equals_transformers(name, mesh, tmp_path):
    expected = read_safetensors(FIXTURES[name] / "expected.safetensors")
    outputs = [key for key in ("logits", "last_hidden_state", "pooler_output")
               if key in expected]
    types = {key: expected[key] for key in ("token_type_ids",)
             if key in expected}

    found, _ = run_model(FIXTURES[name] / "model", mesh,
                         {"input_ids": expected["input_ids"], **types},
                         outputs, tmp_path)
    for key in outputs:
        close(found[key], expected[key])

    mask = expected["padded.attention_mask"]
    padded, _ = run_model(FIXTURES[name] / "model", mesh,
                          {"input_ids": expected["padded.input_ids"],
                           "attention_mask": mask, **types},
                          outputs, tmp_path)
    for key in outputs:
        if f"padded.{key}" in expected:
            close(padded[key], expected[f"padded.{key}"], mask.astype(bool))


def test_unknown_architecture_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"architectures": ["MambaModel"]}')
    result = tool("tpc-run", tmp_path, "--dry-run", check=False)
    assert result.returncode == 1
    assert "MambaModel" in result.stderr and "BertModel" in result.stderr


def config_of(name, tmp_path, **changes):
    config = json.loads(
        (ROOT / f"test/data/hf/{name}/model/config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **changes}))
    return tmp_path


@pytest.mark.parametrize("name", ["bert", "llama_rope3"])
@pytest.mark.parametrize("changes, named", [
    ({"embedding_warp": 3}, '"embedding_warp"'),
    ({"quantization_config": {"bits": 4}}, '"quantization_config"'),
])
def test_unknown_keys_of_the_configuration_are_named(name, changes, named,
                                                     tmp_path):
    """Nobody asks for them, so what they say would be lacking."""
    result = tool("tpc-run", config_of(name, tmp_path, **changes), "--dry-run",
                  check=False)
    assert result.returncode == 1
    assert named in result.stderr and "remove it" in result.stderr


def test_unknown_keys_of_a_section_are_named(tmp_path):
    model = config_of("llama_rope3", tmp_path, rope_parameters={
        "rope_type": "linear", "factor": 2.0, "twist": 1})
    result = tool("tpc-run", model, "--dry-run", check=False)
    assert result.returncode == 1
    assert '"rope_parameters.twist"' in result.stderr


@pytest.mark.parametrize("name", ["bert", "llama_rope3"])
def test_keys_without_effect_and_nulls_are_ignored(name, tmp_path):
    model = config_of(name, tmp_path, embedding_warp=None, use_cache=False,
                      id2label={"0": "A"}, temperature=0.5, torch_dtype="float16")
    tool("tpc-run", model, "--emit", "whole", "--dry-run", "--length", 8)
