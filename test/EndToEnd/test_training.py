"""The entry `step` of Hugging Face models: loss and gradients.

What the loss must be follows from the logits that the model's other entry
gives, in NumPy. What the gradients must be, from moving the stored weights
along them: the loss changes by their squared length times how far. How much is
communicated is compared with what Megatron-LM's layers send, in closed form
(core/tensor_parallel/layers.py and cross_entropy.py)."""

import json
import os
import pathlib
import shutil

import numpy as np
import pytest

from tools import ROOT, read_safetensors, run_model, tool, write_safetensors

FIXTURES = pathlib.Path(os.environ.get("TPC_HF_FIXTURES", "missing"))
needs_fixtures = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason="TPC_HF_FIXTURES is not set: no models here")

rng = np.random.default_rng(7)
IDS = rng.integers(1, 60, (2, 8))
LABELS = IDS.copy()
LABELS[0, 5:] = -100


def negative_log_likelihood(logits, labels):
    """The mean over the labels that are tokens."""
    shifted = logits - logits.max(-1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    counts = labels >= 0
    chosen = np.take_along_axis(logs, np.where(counts, labels, 0)[..., None],
                                -1)[..., 0]
    return -chosen[counts].mean()


def step(model, mesh, names, folder, *options):
    found, report = run_model(model, mesh, {"input_ids": IDS, "labels": LABELS},
                              names, folder, "--entry", "step", *options)
    return found, report


@needs_fixtures
@pytest.mark.parametrize("family", ["llama_rope3", "gpt2", "mixtral", "gemma2"])
def test_loss_is_that_of_the_next_tokens(family, tmp_path):
    model = FIXTURES / family / "model"
    logits, _ = run_model(model, "tp=1", {"input_ids": IDS}, ["logits"],
                          tmp_path, "--entry", "prefill", "--logits", "all")
    labels = np.concatenate([LABELS[:, 1:], np.full((2, 1), -100)], 1)
    wanted = negative_log_likelihood(logits["logits"].astype(np.float64), labels)
    for mesh in ["tp=1", "dp=2,tp=2"]:
        found, _ = step(model, mesh, ["loss"], tmp_path, "--mode", "megatron")
        assert found["loss"] == pytest.approx(wanted, rel=2e-6)


# Which stored tensors are moved, and whether the parameter is its transpose.
MOVED = {
    "llama_rope3": {"model.embed_tokens.weight": False,
                    "model.layers.1.mlp.down_proj.weight": True,
                    "model.layers.0.self_attn.q_proj.weight": True,
                    "model.layers.0.self_attn.v_proj.weight": True,
                    "model.layers.1.input_layernorm.weight": False,
                    "lm_head.weight": False},
    "gemma2": {"model.layers.0.mlp.gate_proj.weight": True,
               "model.layers.1.self_attn.k_proj.weight": True,
               "model.layers.1.self_attn.o_proj.weight": True},
}


@needs_fixtures
@pytest.mark.parametrize("mode", ["auto", "megatron"])
@pytest.mark.parametrize("family", MOVED)
def test_loss_moves_by_its_gradient(family, mode, tmp_path):
    model = FIXTURES / family / "model"
    names = [f"grad.{name}" for name in MOVED[family]]
    found, _ = step(model, "dp=2,tp=2", names, tmp_path, "--mode", mode)
    stored = read_safetensors(model / "model.safetensors")
    moved_model = tmp_path / "moved"
    moved_model.mkdir()
    shutil.copy(model / "config.json", moved_model)
    for name, transposed in MOVED[family].items():
        gradient = found[f"grad.{name}"].astype(np.float64)
        if transposed:
            gradient = gradient.reshape(stored[name].shape[::-1]).T
        length = (gradient**2).sum()
        assert length > 0, name
        # So far that the loss changes by 1 % of a unit.
        distance = 5e-3 / length
        losses = []
        for sign in (1, -1):
            weights = dict(stored)
            weights[name] = np.ascontiguousarray(
                stored[name] + sign * distance * gradient, np.float32)
            write_safetensors(moved_model / "model.safetensors", weights)
            loss, _ = step(moved_model, "tp=1", ["loss"], tmp_path)
            losses.append(float(loss["loss"]))
        change = (losses[0] - losses[1]) / (2 * distance * length)
        assert change == pytest.approx(1, rel=2e-2), name


@needs_fixtures
@pytest.mark.parametrize("family", ["bert", "gpt2", "mixtral", "t5", "qwen3"])
def test_gradients_equal_those_of_the_whole(family, tmp_path):
    model = FIXTURES / family / "model"
    config = json.loads((model / "config.json").read_text())
    name = config["architectures"][0]
    inputs = ["--input", f"input_ids=@{tmp_path}/ids.npy"]
    np.save(tmp_path / "ids.npy", IDS)
    if name == "T5ForConditionalGeneration":
        np.save(tmp_path / "decoder.npy", IDS[:, :5])
        inputs += ["--input", f"decoder_input_ids=@{tmp_path}/decoder.npy"]
        np.save(tmp_path / "labels.npy", LABELS[:, :5])
    else:
        np.save(tmp_path / "labels.npy", LABELS)
    inputs += ["--input", f"labels=@{tmp_path}/labels.npy"]
    for mode, mesh in [("megatron", "dp=2,tp=2"), ("auto", "tp=3")]:
        checked = tool("tpc-run", model, "--entry", "step", "--mesh", mesh,
                       "--mode", mode, "--check", "--quiet", "--search-time", 1,
                       *inputs)
        assert ": ok" in checked.stdout


MACHINES = ROOT / "test/data/machines"


@needs_fixtures
@pytest.mark.parametrize("family, norms, processes", [
    ("llama_rope3", 5, 1), ("gpt2", 10, 1), ("llama_rope3", 5, 2)])
def test_small_gradients_are_reduced_in_one(family, norms, processes, tmp_path):
    """By rule and with dp alone, every gradient is reduced over it. Those of
    norms are wanted at the end and become one, with the same bits as alone, on
    a machine where a collective has a latency."""
    model = FIXTURES / family / "model"
    names = [f"grad.{name}" for name in read_safetensors(
        model / "model.safetensors") if "norm" in name or ".ln_" in name]
    assert len(names) == norms
    found, steps = {}, {}
    for machine in ["h100", MACHINES / "no-latency.json"]:
        folder = tmp_path / pathlib.Path(machine).stem
        folder.mkdir()
        found[machine], report = run_model(
            model, "dp=2", {"input_ids": IDS, "labels": LABELS}, names, folder,
            "--entry", "step", "--mode", "megatron", "--machine", machine,
            processes=processes)
        steps[machine] = report["steps"]["step"]
        # Before grouping: what the plan says is the same.
        assert sum(c["count"] for c in report["collectives"]) == \
            steps[machine]["collectives"] - steps[machine]["groups"] \
            + steps[machine]["grouped"]
    grouped, alone = steps.values()
    assert alone["groups"] == 0
    assert grouped["groups"] >= 1 and grouped["grouped"] >= norms
    for name in names:
        one, other = (outputs[name] for outputs in found.values())
        assert one.tobytes() == other.tobytes(), name


def test_the_gradients_of_all_norms_are_one(tmp_path):
    """Llama-3-8B on tp=8: 64 of 8 KiB each, two of every layer."""
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS["Llama-3-8B"]))
    plan = tool("tpc-run", tmp_path, "--entry", "step", "--length", 2048,
                "--mesh", "tp=8", "--machine", "h100", "--dry-run",
                "--emit=plan").stdout
    collectives = [line for line in plan.split("\n")
                   if "plan.collective" in line]
    groups = [line for line in collectives if "why [" in line]
    assert len(groups) == 1
    assert groups[0].count("layernorm\" to \"func.return\"") == 64
    assert "tensor<1x262144xbf16>" in groups[0]
    # No other goes to the return only.
    assert not any("layernorm\" to \"func.return\"" in line
                   for line in collectives if "why [" not in line)


def test_a_model_without_logits_is_refused():
    refused = tool("tpc-run", ROOT / "examples/configs/bert-base", "--entry",
                   "step", "--dry-run", "--length", 8, check=False)
    assert refused.returncode == 1
    assert 'BertModel: the entry "step" needs a model whose outputs are ' \
        'logits of labels, words or positions; found the output ' \
        '"last_hidden_state"' in refused.stderr


# Configurations alone; sizes at which splitting pays. Lengths are divided by
# the degrees: blocks are equal, and uneven ones send their padding.
CONFIGS = {
    "Llama-3-8B": json.loads(
        (ROOT / "examples/configs/Llama-3-8B/config.json").read_text()),
    "gpt2-xl": {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2",
        "n_embd": 1600, "n_layer": 48, "n_head": 25, "n_positions": 1024,
        "vocab_size": 50257, "torch_dtype": "bfloat16"},
    "bert-large": {
        "architectures": ["BertForMaskedLM"], "model_type": "bert",
        "hidden_size": 1024, "num_hidden_layers": 24,
        "num_attention_heads": 16, "intermediate_size": 4096,
        "hidden_act": "gelu", "layer_norm_eps": 1e-12,
        "max_position_embeddings": 512, "type_vocab_size": 2,
        "vocab_size": 30522, "torch_dtype": "bfloat16"},
}


def megatron_bytes(config, degree, batch, length):
    """What one device sends for forward and backward without sequence
    parallelism (with it as much, and two gathers a layer more): an all_reduce
    of activations forward and one backward after each attention and each MLP,
    one after the embedding and one before the head, and three of one f32 per
    token in the loss. A ring sends 2 (t - 1) / t of a tensor."""
    hidden = config.get("hidden_size", config.get("n_embd"))
    layers = config.get("num_hidden_layers", config.get("n_layer"))
    tokens = batch * length
    activations = (4 * layers + 2) * tokens * hidden * 2
    return 2 * (degree - 1) / degree * (activations + 3 * tokens * 4)


@pytest.mark.parametrize("name, degree, batch, length", [
    ("Llama-3-8B", 8, 1, 2048), ("Llama-3-8B", 4, 1, 2048),
    ("Llama-3-8B", 2, 1, 1024), ("gpt2-xl", 5, 1, 1000),
    ("bert-large", 4, 1, 512), ("bert-large", 8, 2, 512)])
def test_never_more_bytes_than_megatron(name, degree, batch, length, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS[name]))
    tool("tpc-run", tmp_path, "--entry", "step", "--mesh", f"tp={degree}",
         "--machine", "h100", "--batch", batch, "--length", length,
         "--memory-limit", "10000GiB", "--dry-run", "--quiet",
         "--report", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text())
    sent = sum(c["sent"] * c["count"] for c in report["collectives"])
    assert 0 < sent <= megatron_bytes(CONFIGS[name], degree, batch, length)
    assert report["search"]["gap"] == 0
