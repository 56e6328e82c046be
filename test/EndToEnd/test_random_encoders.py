"""Random encoders and encoder-decoders against transformers
(random_fixtures.py)."""

import random

import pytest

from random_fixtures import SEEDS, chosen, close, tokens_are, write_models
from tools import read_safetensors, run_model

FAMILIES = chosen("bert roberta electra distilbert vit t5 whisper".split())
OUTPUTS = ["logits", "last_hidden_state", "pooler_output", "start_logits",
           "end_logits"]
MESHES = ["tp=1", "tp=2", "tp=3", "tp=4", "tp=8", "dp=2,tp=2"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_models("random_encoders.py", FAMILIES,
                        tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FAMILIES)
def test_equals_transformers(name, seed, models, tmp_path):
    folder = models / f"{name}-{seed}"
    expected = read_safetensors(folder / "expected.safetensors")
    draw = random.Random(f"{name} {seed}")
    mesh = draw.choice(MESHES)
    mode = ["--mode", draw.choice(["auto", "megatron"])]
    outputs = [key for key in OUTPUTS if key in expected]
    inputs = {key: array for key, array in expected.items()
              if key not in OUTPUTS and not key.startswith("greedy.")}

    found, _ = run_model(folder / "model", mesh, inputs, outputs, tmp_path,
                         *mode)
    mask = inputs.get("attention_mask")
    for key in outputs:
        values, wanted = found[key], expected[key]
        # What follows padding is nobody's.
        if mask is not None and values.shape[:2] == mask.shape:
            valid = mask.astype(bool)
            values, wanted = values[valid], wanted[valid]
        close(values, wanted)
    if "greedy.tokens" not in expected:
        return
    row = {key: array[:1] for key, array in inputs.items()}
    tokens, logits = expected["greedy.tokens"], expected["greedy.logits"]
    found, _ = run_model(folder / "model", mesh, row, ["tokens", "logits"],
                         tmp_path, "--max-new-tokens", len(tokens), *mode)
    tokens_are(found, tokens, logits)
