"""Decoders from Hugging Face directories against what transformers computes.

The models are in test/data/hf; `TPC_HF_FIXTURES` names a directory with more of
the same layout, of which those run that the importer knows.
"""

import json
import os
import pathlib
import re
import shutil

import numpy as np
import pytest

from tools import (ROOT, read_safetensors, run_model, tool,
                   write_safetensors)

KNOWN = [
    "BloomForCausalLM", "CohereForCausalLM", "DeepseekV3ForCausalLM",
    "FalconForCausalLM", "GPT2LMHeadModel", "GPTJForCausalLM",
    "GPTNeoXForCausalLM", "Gemma2ForCausalLM", "Gemma3ForCausalLM",
    "GemmaForCausalLM", "GptOssForCausalLM", "GraniteForCausalLM",
    "LlamaForCausalLM", "MistralForCausalLM", "MixtralForCausalLM",
    "MptForCausalLM", "OPTForCausalLM", "Olmo2ForCausalLM", "OlmoForCausalLM",
    "Phi3ForCausalLM", "PhiForCausalLM", "Qwen2ForCausalLM",
    "Qwen2MoeForCausalLM", "Qwen3ForCausalLM", "Qwen3MoeForCausalLM",
    "SmolLM3ForCausalLM", "StableLmForCausalLM", "Starcoder2ForCausalLM"]
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
    """Rows with their padding after the tokens, and their lengths; for logits
    too."""
    rows = np.full_like(tokens, 5)  # anything: what follows is not looked at
    for row, tokens_of_row, real in zip(rows, tokens, mask.astype(bool)):
        row[:real.sum()] = tokens_of_row[real]
    return rows, mask.sum(axis=1)


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("name", FIXTURES)
def test_prefill_equals_transformers(name, mesh, tmp_path):
    """Every token's logits, of full rows and of rows that transformers padded
    on the left: a row's logits do not depend on where its padding is."""
    expected = read_safetensors(FIXTURES[name] / "expected.safetensors")
    mask = expected["padded.attention_mask"]
    rows, lengths = to_the_left(expected["padded.input_ids"], mask)
    logits, _ = to_the_left(expected["padded.logits"], mask)
    found, _ = run_model(
        FIXTURES[name] / "model", mesh,
        {"input_ids": np.concatenate([expected["input_ids"], rows])},
        ["logits"], tmp_path, *FULL)
    full = len(expected["input_ids"])
    close(found["logits"][:full], expected["logits"])
    assert len(set(lengths)) > 1
    for row, length in enumerate(lengths):
        close(found["logits"][full + row, :length], logits[row, :length])


@pytest.mark.parametrize("mesh", MESHES)
@pytest.mark.parametrize("name", FIXTURES)
def test_greedy_continuation_equals_transformers(name, mesh, tmp_path):
    expected = read_safetensors(FIXTURES[name] / "expected.safetensors")
    found, _ = run_model(FIXTURES[name] / "model", mesh,
                         {"input_ids": expected["input_ids"]},
                         ["tokens", "logits"], tmp_path, "--max-new-tokens", 16)
    assert found["tokens"][0].tolist() == expected["greedy.tokens"].tolist()
    close(found["logits"][0], expected["greedy.logits"])


@pytest.mark.parametrize("mesh", ["tp=3", "dp=2,tp=2"])
@pytest.mark.parametrize("name", FIXTURES)
def test_rows_of_different_lengths(name, mesh, tmp_path):
    """The logits of each row's last token."""
    expected = read_safetensors(FIXTURES[name] / "expected.safetensors")
    mask = expected["padded.attention_mask"]
    rows, lengths = to_the_left(expected["padded.input_ids"], mask)
    assert len(set(lengths)) > 1
    found, _ = run_model(FIXTURES[name] / "model", mesh,
                         {"input_ids": rows, "lengths": lengths}, ["logits"],
                         tmp_path)
    close(found["logits"], expected["padded.logits"][:, -1])


@pytest.mark.parametrize("mesh", ["tp=2", "dp=2,tp=2"])
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
                              ["tokens", "logits"], tmp_path, "--max-new-tokens", 8,
                              "--check")
    assert found["tokens"][0].tolist() == greedy[3:11].tolist()
    assert found["tokens"][1].tolist() == greedy[:8].tolist()
    close(found["logits"][0], expected["greedy.logits"][3:11])
    close(found["logits"][1], expected["greedy.logits"][:8])
    assert report["check"]["ok"]
    assert len(report["generation"]["decode_ms"]) == 7


def sampled(tmp_path, *options, mesh="tp=1"):
    name = next(iter(FIXTURES))
    expected = read_safetensors(FIXTURES[name] / "expected.safetensors")
    found, _ = run_model(FIXTURES[name] / "model", mesh,
                         {"input_ids": expected["input_ids"]}, ["tokens"],
                         tmp_path, "--max-new-tokens", 8, *options)
    return found["tokens"].tolist(), expected["greedy.tokens"].tolist()[:8]


def test_tokens_by_chance(tmp_path):
    warm = "--temperature", 2
    first, greedy = sampled(tmp_path, *warm, "--seed", 1)
    assert sampled(tmp_path, *warm, "--seed", 1, mesh="tp=2")[0] == first
    assert sampled(tmp_path, *warm, "--seed", 2)[0] != first
    for narrow in (["--top-k", 1], ["--top-p", 1e-6]):
        assert sampled(tmp_path, *warm, *narrow)[0][0] == greedy


@pytest.mark.parametrize("name", [name for name in FIXTURES
                                  if (FIXTURES[name] /
                                      "config.legacy.json").exists()])
def test_old_spelling_of_the_configuration(name, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    for file in (FIXTURES[name] / "model").glob("model*"):
        shutil.copy(file, model)  # a part of weights may not be a link
    (model / "config.json").write_text(
        (FIXTURES[name] / "config.legacy.json").read_text())
    expected = read_safetensors(FIXTURES[name] / "expected.safetensors")
    found, _ = run_model(model, "tp=2", {"input_ids": expected["input_ids"]},
                         ["logits"], tmp_path, *FULL)
    close(found["logits"], expected["logits"])


def test_files_of_a_model_without_a_head(tmp_path):
    """Their names lack the "model." before the layers'."""
    fixture = ROOT / "test/data/hf/llama_rope3"
    expected = read_safetensors(fixture / "expected.safetensors")
    tensors = read_safetensors(fixture / "model/model.safetensors")
    write_safetensors(tmp_path / "model.safetensors",
                      {name.removeprefix("model."): tensor
                       for name, tensor in tensors.items()})
    found, _ = run_model(config_with(tmp_path), "tp=2",
                         {"input_ids": expected["input_ids"]}, ["logits"],
                         tmp_path, *FULL)
    close(found["logits"], expected["logits"])


def test_a_stored_head_is_not_tied(tmp_path):
    """Whatever the configuration says: so does transformers."""
    fixture = ROOT / "test/data/hf/llama_rope3"
    expected = read_safetensors(fixture / "expected.safetensors")
    found, _ = run_model(
        config_with(tmp_path, tie_word_embeddings=True), "tp=2",
        {"input_ids": expected["input_ids"]}, ["logits"], tmp_path, *FULL,
        "--weights", fixture / "model/model.safetensors")
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
         "--mode", "megatron", "--dry-run", "--quiet", "--element", "stored", "--length", 512,
         "--context", 1024, "--report", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    hidden, layers = config["hidden_size"], config["num_hidden_layers"]
    vectors = (2 * layers + 1) * hidden
    matrices = PARAMETERS[name] - vectors
    assert report["memory"]["weights"] == 2 * (matrices // 8 + vectors)
    # Keys and values of 1024 tokens: one of 8 heads of 128 elements.
    assert report["memory"]["states"] == layers * 2 * 1024 * 128 * 2
    assert report["seconds"]["import"] < 0.5


MIXTRAL = {"num_local_experts": 4, "num_experts_per_tok": 2}
EXPERTS = {**MIXTRAL, "moe_intermediate_size": 12}


@pytest.mark.parametrize("architecture, changes, expected", [
    ("MistralForCausalLM", {"sliding_window": 7}, [7, 7]),
    ("MistralForCausalLM", {"sliding_window": None}, [0, 0]),
    ("MistralForCausalLM", {}, [4096, 4096]),
    ("MixtralForCausalLM", {"sliding_window": 7, **MIXTRAL}, [7, 7]),
    ("MixtralForCausalLM", MIXTRAL, [0, 0]),
    ("Qwen3MoeForCausalLM", {"sliding_window": 7, **EXPERTS}, [0, 0]),
    ("Qwen3MoeForCausalLM", {"sliding_window": 7, "use_sliding_window": True,
                             "max_window_layers": 1, **EXPERTS}, [7, 7]),
    ("Gemma2ForCausalLM", {"sliding_window": 7}, [7, 0]),
    ("Gemma2ForCausalLM", {}, [4096, 0]),
    ("Gemma2ForCausalLM", {"layer_types": ["full_attention",
                                           "sliding_attention"]}, [0, 4096]),
    ("Gemma3ForCausalLM", {"sliding_window_pattern": 2,
                           "rope_parameters": None}, [4096, 0]),
    ("Gemma3ForCausalLM", {"rope_parameters": None}, [4096, 4096]),
    ("GptOssForCausalLM", MIXTRAL, [128, 0]),
    ("SmolLM3ForCausalLM", {"sliding_window": 7, "no_rope_layers": [1, 0],
                            "use_sliding_window": True}, [0, 7]),
    ("SmolLM3ForCausalLM", {"sliding_window": 7, "no_rope_layers": [1, 0]},
     [0, 0]),
    ("SmolLM3ForCausalLM", {"sliding_window": 7, "layer_types": [
        "sliding_attention", "full_attention"]}, [7, 0]),
    ("Qwen2MoeForCausalLM", {"sliding_window": 7, "use_sliding_window": True,
                             "max_window_layers": 2, **EXPERTS}, [7, 0]),
    ("Qwen2ForCausalLM", {"sliding_window": 7}, [0, 0]),
    ("Qwen2ForCausalLM", {"sliding_window": 7, "use_sliding_window": True,
                          "max_window_layers": 1}, [0, 7]),
    ("Qwen2ForCausalLM", {"sliding_window": 7, "use_sliding_window": True,
                          "layer_types": ["sliding_attention",
                                          "full_attention"]}, [7, 0]),
])
def test_windows_of_layers(architecture, changes, expected, tmp_path):
    model = config_with(tmp_path, architectures=[architecture], **changes)
    text = tool("tpc-run", model, "--entry", "decode", "--emit", "whole",
                "--dry-run").stdout
    found = [int((re.search(r"window (\d+)", line) or [0, 0])[1])
             for line in text.splitlines() if "tpc.attention" in line]
    assert found == expected


@pytest.mark.parametrize("changes, sparse, normalized", [
    ({}, [0, 1], False),
    ({"norm_topk_prob": True}, [0, 1], True),
    ({"mlp_only_layers": [0]}, [1], False),
    ({"decoder_sparse_step": 2}, [1], False),
    ({"decoder_sparse_step": 3}, [], False),
])
def test_layers_with_experts(changes, sparse, normalized, tmp_path):
    model = config_with(tmp_path, architectures=["Qwen3MoeForCausalLM"],
                        **EXPERTS, **changes)
    text = tool("tpc-run", model, "--entry", "decode", "--emit", "whole",
                "--dry-run").stdout
    for layer in range(2):
        prefix = f"model.layers.{layer}.mlp"
        assert (f'@{prefix}.experts.gate_proj.weight : tensor<4x' in text) == (
            layer in sparse)
        assert (f"@{prefix}.gate_proj.weight :" in text) == (
            layer not in sparse)
    assert text.count("tpc.experts") == len(sparse)
    assert text.count("tpc.div") == len(sparse) * normalized


def test_layers_without_rotary_positions(tmp_path):
    model = config_with(tmp_path, architectures=["SmolLM3ForCausalLM"],
                        num_hidden_layers=5)
    text = tool("tpc-run", model, "--entry", "decode", "--emit", "whole",
                "--dry-run", "--mesh", "tp=1").stdout
    assert text.count("tpc.rope") == 2 * 4  # every fourth has none


def config_with(tmp_path, **changes):
    config = json.loads(
        (ROOT / "test/data/hf/llama_rope3/model/config.json").read_text())
    config.update(changes)
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


# Frequencies of rotary positions -------------------------------------------

def ramp(low, high, count):
    return np.clip((np.arange(count) - low) / (high - low), 0, 1)


def rope_llama3(f, factor, low, high, original):
    wavelength = 2 * np.pi / f
    blend = (original / wavelength - low) / (high - low)
    between = (1 - blend) * f / factor + blend * f
    return np.where(wavelength < original / high, f,
                    np.where(wavelength > original / low, f / factor, between))


def rope_yarn(f, factor, original, theta):
    def dimension(turns):
        return (2 * len(f) * np.log(original / (turns * 2 * np.pi)) /
                (2 * np.log(theta)))
    low, high = np.floor(dimension(32)), np.ceil(dimension(1))
    blend = ramp(max(low, 0), min(high, 2 * len(f) - 1), len(f))
    return f / factor * blend + f * (1 - blend)


BASE = 10000.0 ** (-np.arange(32) / 32)
SHORT, LONG = np.linspace(1, 2, 32), np.linspace(2, 5, 32)
LONGROPE = {"rope_type": "longrope", "short_factor": SHORT.tolist(),
            "long_factor": LONG.tolist(),
            "original_max_position_embeddings": 64}
# Part of a head turns in some families only.
PHI = {"architectures": ["PhiForCausalLM"], "rms_norm_eps": None}
# rope_parameters, more of the configuration, the context, frequencies, scale.
ROPE = {
    "default": ({}, {}, 64, BASE, 1),
    "theta": ({"rope_theta": 500.0}, {}, 64, 500.0 ** (-np.arange(32) / 32), 1),
    "linear": ({"rope_type": "linear", "factor": 4.0}, {}, 64, BASE / 4, 1),
    "half of each head": ({}, {**PHI, "partial_rotary_factor": 0.5}, 64,
                          10000.0 ** (-np.arange(16) / 16), 1),
    "a quarter, inside": ({"partial_rotary_factor": 0.25}, PHI, 64,
                          10000.0 ** (-np.arange(8) / 8), 1),
    "llama3": ({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 1024}, {}, 64,
               rope_llama3(BASE, 8, 1, 4, 1024), 1),
    "yarn": ({"rope_type": "yarn", "factor": 4.0,
              "original_max_position_embeddings": 1024}, {}, 64,
             rope_yarn(BASE, 4, 1024, 10000), 0.1 * np.log(4) + 1),
    "yarn with mscale": ({"rope_type": "yarn", "factor": 4.0, "mscale": 2.0,
                          "mscale_all_dim": 1.0,
                          "original_max_position_embeddings": 1024}, {}, 64,
                         rope_yarn(BASE, 4, 1024, 10000),
                         (0.2 * np.log(4) + 1) / (0.1 * np.log(4) + 1)),
    "longrope, short": (LONGROPE, {}, 64, BASE / SHORT,
                        np.sqrt(1 + np.log(2) / np.log(64))),
    "longrope, both": (LONGROPE, {}, 65, [BASE / SHORT, BASE / LONG],
                       np.sqrt(1 + np.log(2) / np.log(64))),
    "yarn without factor": ({"rope_type": "yarn",
                             "original_max_position_embeddings": 32}, {}, 64,
                            rope_yarn(BASE, 4, 32, 10000), 0.1 * np.log(4) + 1),
    "the length before scaling stands outside": (
        {"rope_type": "yarn", "factor": 4.0},
        {"original_max_position_embeddings": 1024}, 64,
        rope_yarn(BASE, 4, 1024, 10000), 0.1 * np.log(4) + 1),
    "both spellings of the section": (
        {"factor": 3}, {"rope_scaling": {"type": "linear", "factor": 4.0}}, 64,
        BASE / 4, 1),
}


@pytest.mark.parametrize("case", ROPE)
def test_frequencies_of_rotary_positions(case, tmp_path):
    rope, more, context, expected, scale = ROPE[case]
    model = config_with(tmp_path, rope_parameters=rope, head_dim=64, **more)
    text = tool("tpc-run", model, "--entry", "decode", "--emit", "whole", "--dry-run",
                "--length", context).stdout
    expected = np.atleast_2d(expected)
    found = re.findall(
        rf"tpc.constant dense<(\[[^>]*)> : tensor<{expected.shape[1]}xf32>",
        text)
    assert len(found) == len(expected)
    for values in expected:
        assert any(np.allclose(json.loads(constant), values.astype(np.float32),
                               rtol=2e-7, atol=0) for constant in found)
    scales = {float(x) for x in re.findall(r"tpc.rope .* scale (\S+)", text)}
    assert np.allclose(list(scales), [scale], rtol=1e-12)


@pytest.mark.parametrize("options", [(), FULL])
@pytest.mark.parametrize("rope, equal", [
    # Above 8 tokens, the long factors count.
    ({"rope_type": "longrope", "short_factor": [9.0] * 6,
      "long_factor": [2.0] * 6, "attention_factor": 1.0,
      "original_max_position_embeddings": 8},
     {"rope_type": "linear", "factor": 2.0}),
    # 12 tokens of a model for 8.
    ({"rope_type": "dynamic", "factor": 3.0},
     {"rope_type": "default",
      "rope_theta": 1e4 * (3.0 * 12 / 8 - 2) ** (12 / 10)}),
])
def test_frequencies_of_long_rows(rope, equal, options, tmp_path):
    """They depend on the longest row of a call: with lengths, and without."""
    expected = read_safetensors(
        ROOT / "test/data/hf/llama_rope3/expected.safetensors")
    results = []
    for parameters in (rope, equal):
        model = config_with(tmp_path, rope_parameters=parameters,
                            max_position_embeddings=8)
        found, _ = run_model(
            model, "tp=2", {"input_ids": expected["input_ids"]}, ["logits"],
            tmp_path, "--weights",
            ROOT / "test/data/hf/llama_rope3/model/model.safetensors", *options)
        results.append(found["logits"])
    close(results[0], results[1], 1e-5)


# Errors ----------------------------------------------------------------------

BAD = {
    "heads": ({"num_key_value_heads": 3}, [], "num_key_value_heads"),
    "activation": ({"hidden_act": "snake"}, [], 'silu, swish'),
    "rope kind": ({"rope_parameters": {"rope_type": "spiral"}}, [],
                  "spiral"),
    "rope factor": ({"rope_parameters": {"rope_type": "linear"}}, [],
                    "rope_parameters.factor"),
    "rope section": ({"rope_parameters": 3}, [], "an object"),
    "odd part": ({**PHI, "partial_rotary_factor": 0.25}, [],
                 "expected an even number of the 12 elements"),
    "part of a head": ({"rope_parameters": {"partial_rotary_factor": 0.5}}, [],
                       "whole heads turn"),
    "no length to scale from": ({"rope_parameters": {"rope_type": "dynamic",
                                                     "factor": 2.0},
                                 "max_position_embeddings": None}, [],
                                "max_position_embeddings"),
    "layer kind": ({"architectures": ["Qwen2ForCausalLM"], "layer_types":
                    ["full_attention", "chunked_attention"]}, [],
                   "chunked_attention"),
    "both ways": ({"architectures": ["GemmaForCausalLM"],
                   "use_bidirectional_attention": True}, [],
                  '"use_bidirectional_attention" is not known'),
    "no scaling of GPT-OSS": ({"architectures": ["GptOssForCausalLM"],
                               **MIXTRAL, "rope_parameters": None}, [],
                              'missing key "rope_parameters"'),
    "a value that is not supported": (
        {"architectures": ["FalconForCausalLM"],
         "apply_residual_connection_post_layernorm": True}, [],
        "expected false, found true"),
    "groups of experts": ({"architectures": ["DeepseekV3ForCausalLM"],
                           "n_routed_experts": 6, "n_group": 4,
                           "num_experts_per_tok": 2, "num_key_value_heads": 4,
                           "moe_intermediate_size": 8}, [], "n_group"),
    "learned positions": ({"architectures": ["OPTForCausalLM"],
                           "ffn_dim": 64, "max_position_embeddings": 16,
                           **{key: None for key in (
                               "head_dim", "hidden_act", "intermediate_size",
                               "num_key_value_heads", "rms_norm_eps",
                               "rope_parameters")}},
                          ["--length", "17"], "model's 16 positions"),
    "element": ({}, ["--element", "int4"], "int4"),
    "layer types": ({"architectures": ["Qwen2ForCausalLM"],
                     "sliding_window": 3, "use_sliding_window": True,
                     "layer_types": ["full_attention"]}, [], "layer_types"),
    "a window in Llama": ({"sliding_window": 7}, [],
                          '"sliding_window" is not known for Llama'),
    "experts per token": ({"architectures": ["MixtralForCausalLM"], **MIXTRAL,
                           "num_experts_per_tok": 5}, [],
                          "at most num_local_experts 4, found 5"),
    "no experts": ({"architectures": ["MixtralForCausalLM"]}, [],
                   "num_experts"),
    "longrope": ({"rope_parameters": {**LONGROPE, "short_factor": [1.0]}},
                 ["--length", "8"], "expected 6 factors, found 1"),
    "context": ({}, ["--length", "16", "--context", "8"], "--context"),
    "context of generation": ({}, ["--length", "16", "--context", "18",
                                   "--max-new-tokens", "8"], "23"),
    "entry": ({}, ["--entry", "main"], "prefill, decode"),
    "entry and generation": ({}, ["--entry", "decode", "--max-new-tokens", "2"],
                             "--entry"),
    "logits": ({}, ["--logits", "some"], "last or all"),
    "temperature": ({}, ["--temperature", "-1", "--max-new-tokens", "2"],
                    "temperature"),
    "top-p": ({}, ["--top-p", "0", "--max-new-tokens", "2"], "top_p"),
    "logits of generation": ({}, ["--logits", "all", "--max-new-tokens", "2"],
                             "--logits"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_models_and_options_are_explained(case, tmp_path):
    changes, options, expected = BAD[case]
    result = tool("tpc-run", config_with(tmp_path, **changes), "--dry-run",
                  *options, check=False)
    assert result.returncode == 1
    assert expected in result.stderr


def test_experts_are_checked_one_by_one(tmp_path):
    """One of the tensors that are stacked is missing, or has another shape."""
    hidden, width, expert = 64, 12, "model.layers.0.mlp.experts"
    model = config_with(tmp_path, architectures=["Qwen3MoeForCausalLM"],
                        hidden_size=hidden, **EXPERTS)
    text = tool("tpc-run", model, "--emit", "whole", "--dry-run").stdout
    tensors = {}
    for names, shape in re.findall(
            r'tpc.parameter @\S+ : tensor<\S+> from (.*) : tensor<([\dx]+)xf32>', text):
        for name in re.findall('"([^"]+)"', names):
            tensors[name] = np.zeros([int(n) for n in shape.split("x")],
                                     np.float32)
    assert tensors[f"{expert}.2.up_proj.weight"].shape == (width, hidden)
    weights = tmp_path / "model.safetensors"

    def error_with(change):
        changed = dict(tensors)
        change(changed)
        write_safetensors(weights, changed)
        result = tool("tpc-run", model, "--weights", weights, "--dry-run",
                      check=False)
        return result.stderr if result.returncode else ""
    name = f"{expert}.2.up_proj.weight"
    assert error_with(lambda t: None) == ""
    assert f'no tensor "{name}"' in error_with(lambda t: t.pop(name))
    assert "expected shape [12, 64], found [64, 12]" in error_with(
        lambda t: t.update({name: t[name].T.copy()}))
    assert f'"{name}": expected \'f32\' as in' in error_with(
        lambda t: t.update({name: t[name].astype(np.float64)}))


def test_generation_wants_a_decoder(tmp_path):
    result = tool("tpc-run", ROOT / "examples/mlp.mlir", "--max-new-tokens", 2,
                  "--dry-run", check=False)
    assert result.returncode == 1
    assert "prefill and decode" in result.stderr


def test_lengths_are_checked(tmp_path):
    model = ROOT / "test/data/hf/llama_rope3/model"
    result = tool("tpc-run", model, "--max-new-tokens", 2, "--input",
                  "input_ids=1x4xi64=3", "--input", "lengths=1xi64=5",
                  check=False)
    assert result.returncode == 1
    assert "from 1 to 4" in result.stderr
