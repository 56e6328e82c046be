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

FAMILIES = ("Bert", "Roberta", "DistilBert", "Electra", "ViT", "T5", "Whisper")
# On one device, and where the mode is free, everything may be left whole.
RUNS = [("tp=1", "auto"), ("tp=2", "megatron"), ("tp=3", "megatron"),
        ("tp=4", "megatron"), ("tp=8", "megatron"), ("dp=2,tp=2", "auto")]
OUTPUTS = ["logits", "last_hidden_state", "pooler_output"]
INPUTS = ["input_ids", "token_type_ids", "pixel_values", "input_features",
          "decoder_input_ids"]


def fixtures():
    folders = [ROOT / "test/data/hf"]
    if "TPC_HF_FIXTURES" in os.environ:
        folders.append(pathlib.Path(os.environ["TPC_HF_FIXTURES"]))
    found = {}
    for folder in folders:
        for config in sorted(folder.glob("*/model/config.json")):
            name = json.loads(config.read_text())["architectures"][0]
            if name.startswith(FAMILIES):
                found[config.parents[1].name] = config.parents[1]
    return found


FIXTURES = fixtures()


class Fixture:
    """A model, inputs, and what transformers computes for them."""

    def __init__(self, name, run, folder):
        self.model = FIXTURES[name] / "model"
        self.config = json.loads((self.model / "config.json").read_text())
        self.expected = read_safetensors(
            FIXTURES[name] / "expected.safetensors")
        self.inputs = {key: self.expected[key] for key in INPUTS
                       if key in self.expected}
        self.outputs = [key for key in OUTPUTS if key in self.expected]
        self.mesh, self.mode = run
        self.folder = folder

    def run(self, inputs, outputs, *options):
        return run_model(self.model, self.mesh, inputs, outputs, self.folder,
                         "--mode", self.mode, *options)


def close(found, expected, where=...):
    """Within 1e-4 of the largest magnitude: the tolerance of the fixtures."""
    assert found.shape == expected.shape
    difference = np.abs(found - expected)[where].max()
    assert difference <= 1e-4 * np.abs(expected).max()


def names(run):
    return "-".join(run)


@pytest.mark.parametrize("run", RUNS, ids=names)
@pytest.mark.parametrize("name", FIXTURES)
def test_equals_transformers(name, run, tmp_path):
    fixture = Fixture(name, run, tmp_path)
    found, report = fixture.run(fixture.inputs, fixture.outputs)
    for key in fixture.outputs:
        close(found[key], fixture.expected[key])
    if fixture.mode == "megatron":
        assert report["collectives"]


@pytest.mark.parametrize("run", RUNS, ids=names)
@pytest.mark.parametrize("name", FIXTURES)
def test_padding_equals_transformers(name, run, tmp_path):
    fixture = Fixture(name, run, tmp_path)
    if "padded.input_ids" not in fixture.expected:
        pytest.skip("its input has no padding")
    mask = fixture.expected["padded.attention_mask"]
    inputs = {**fixture.inputs, "attention_mask": mask,
              "input_ids": fixture.expected["padded.input_ids"]}
    outputs = [key for key in fixture.outputs
               if f"padded.{key}" in fixture.expected]
    found, _ = fixture.run(inputs, outputs)
    for key in outputs:
        ofTokens = found[key].shape[:2] == mask.shape
        close(found[key], fixture.expected[f"padded.{key}"],
              mask.astype(bool) if ofTokens else ...)


@pytest.mark.parametrize("run", RUNS, ids=names)
@pytest.mark.parametrize("name", FIXTURES)
def test_greedy_tokens_equal_transformers(name, run, tmp_path):
    """Of encoder-decoders: row 0, from the token that decoders start with."""
    fixture = Fixture(name, run, tmp_path)
    if "decoder_start_token_id" not in fixture.config:
        pytest.skip("it generates nothing")
    inputs = {key: array[:1] for key, array in fixture.inputs.items()}
    inputs["decoder_input_ids"] = np.array(
        [[fixture.config["decoder_start_token_id"]]])
    found, _ = fixture.run(inputs, ["tokens", "logits"],
                           "--max-new-tokens", 16)
    expected = fixture.expected
    assert found["tokens"][0].tolist() == expected["greedy.tokens"].tolist()
    close(found["logits"][0], expected["greedy.logits"])


def test_a_mask_is_kept_for_decode(tmp_path):
    """What is generated from a padded row is what is generated from the row
    alone."""
    fixture = Fixture("t5", ("tp=2", "megatron"), tmp_path)
    tokens = fixture.inputs["input_ids"][:1, :7]
    padded = np.concatenate([tokens, [[9, 9, 9, 9, 9]]], axis=1)
    mask = np.array([[1] * 7 + [0] * 5])
    start = np.array([[0]])
    alone, _ = fixture.run({"input_ids": tokens, "decoder_input_ids": start},
                           ["logits"], "--max-new-tokens", 8)
    found, _ = fixture.run(
        {"input_ids": padded, "attention_mask": mask,
         "decoder_input_ids": start}, ["logits"], "--max-new-tokens", 8)
    close(found["logits"], alone["logits"])


def test_a_mask_of_the_decoder(tmp_path):
    """A token that the mask leaves out changes no other's logits."""
    fixture = Fixture("t5", ("tp=2", "megatron"), tmp_path)
    tokens = fixture.inputs["decoder_input_ids"].copy()
    mask = np.ones_like(tokens)
    mask[:, 3] = 0
    logits = []
    for token in (1, 2):
        tokens[:, 3] = token
        found, _ = fixture.run(
            {**fixture.inputs, "decoder_input_ids": tokens,
             "decoder_attention_mask": mask}, ["logits"])
        logits.append(np.delete(found["logits"], 3, axis=1))
    close(logits[0], logits[1])


def test_prefill_and_decode_are_entries(tmp_path):
    fixture = Fixture("t5", ("tp=2", "megatron"), tmp_path)
    whole, _ = fixture.run(fixture.inputs, ["logits"])
    last, _ = fixture.run(fixture.inputs, ["logits"], "--entry", "prefill")
    close(last["logits"], whole["logits"][:, -1])


WHISPER = {"architectures": ["WhisperForConditionalGeneration"], "d_model": 8,
           "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 9,
           "encoder_attention_heads": 2, "decoder_attention_heads": 2,
           "encoder_ffn_dim": 4, "decoder_ffn_dim": 4, "num_mel_bins": 3,
           "max_source_positions": 5, "max_target_positions": 6}

BAD = {
    "buckets": ("t5", {"relative_attention_num_buckets": 3}, [],
                "at least 4, found 3"),
    "distance": ("t5", {"relative_attention_max_distance": 2}, [],
                 "expected more than 2"),
    "an unknown activation": ("t5", {"dense_act_fn": "prelu"}, [], '"prelu"'),
    "entry": ("t5", {}, ["--entry", "encode"], "main, prefill, decode"),
    "context": ("t5", {}, ["--max-new-tokens", 8, "--context", 4],
                "need a context of 8, found 4"),
    "no head": ("t5", {"architectures": ["T5Model"]},
                ["--max-new-tokens", 8], "no head that chooses tokens"),
    "positions": ("t5", WHISPER, ["--max-new-tokens", 8],
                  "above the model's 6 positions"),
    "patches": ("vit", {"patch_size": 25}, [], "at most the image_size 24"),
    "sizes of images": ("vit", {"image_size": [24, 24, 24]}, [],
                        "a size or 2 sizes"),
    "shape of an image": ("vit", {}, ["--input", "pixel_values=3x24xf32=0"],
                          "[batch, channels, height, width]"),
    "no labels": ("vit", {"id2label": {}}, [], "at least one label"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_say_what_is_wrong(name, tmp_path):
    model, changes, options, expected = BAD[name]
    if changes is WHISPER:
        (tmp_path / "config.json").write_text(json.dumps(changes))
    else:
        config_of(model, tmp_path, **changes)
    result = tool("tpc-run", tmp_path, "--dry-run", *options, check=False)
    assert result.returncode == 1
    assert expected in result.stderr


def test_unknown_architecture_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"architectures": ["MambaModel"]}')
    result = tool("tpc-run", tmp_path, "--dry-run", check=False)
    assert result.returncode == 1
    assert "MambaModel" in result.stderr and "BertModel" in result.stderr


def test_the_document_lists_all_architectures(tmp_path):
    (tmp_path / "config.json").write_text('{"architectures": ["MambaModel"]}')
    result = tool("tpc-run", tmp_path, "--dry-run", check=False)
    known = result.stderr.split("known are: ")[1].strip().split(", ")
    text = (ROOT / "docs/tools.md").read_text()
    assert len(known) > 20 and all(f"`{name}`" in text for name in known)


def config_of(name, tmp_path, **changes):
    config = json.loads(
        (ROOT / f"test/data/hf/{name}/model/config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **changes}))
    return tmp_path


@pytest.mark.parametrize("name", ["bert", "llama_rope3"])
@pytest.mark.parametrize("changes, named", [
    ({"embedding_warp": 3}, ['"embedding_warp"', "remove it"]),
    ({"quantization_config": {"bits": 4}}, ['"quantization_config"',
                                            "not quantized"]),
])
def test_unknown_keys_of_the_configuration_are_named(name, changes, named,
                                                     tmp_path):
    """Nobody asks for them, so what they say would be lacking."""
    result = tool("tpc-run", config_of(name, tmp_path, **changes), "--dry-run",
                  check=False)
    assert result.returncode == 1
    assert all(part in result.stderr for part in named)


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
