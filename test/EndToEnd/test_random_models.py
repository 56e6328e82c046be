"""Random decoders against transformers, with options that no fixture has.

`TPC_RANDOM_MODELS=FIRST,COUNT` chooses the seeds (none, if it is not set:
`scripts/test --deep` sets it), `TPC_RANDOM_FAMILIES` the classes, by commas.
`TPC_TRANSFORMERS_PYTHON` is a Python that has torch and transformers.
"""

import os
import pathlib
import random
import subprocess
import sys

import numpy as np
import pytest

from tools import read_safetensors, run_model

PYTHON = os.environ.get("TPC_TRANSFORMERS_PYTHON", sys.executable)
FAMILIES = """
    BloomForCausalLM CohereForCausalLM DeepseekV3ForCausalLM FalconForCausalLM
    GPT2LMHeadModel GPTJForCausalLM GPTNeoXForCausalLM Gemma2ForCausalLM
    Gemma3ForCausalLM GemmaForCausalLM GptOssForCausalLM GraniteForCausalLM
    LlamaForCausalLM MistralForCausalLM MixtralForCausalLM MptForCausalLM
    OPTForCausalLM Olmo2ForCausalLM OlmoForCausalLM Phi3ForCausalLM
    PhiForCausalLM Qwen2ForCausalLM Qwen2MoeForCausalLM Qwen3ForCausalLM
    Qwen3MoeForCausalLM SmolLM3ForCausalLM StableLmForCausalLM
    Starcoder2ForCausalLM""".split()
if "TPC_RANDOM_FAMILIES" in os.environ:
    FAMILIES = os.environ["TPC_RANDOM_FAMILIES"].split(",")
FIRST, COUNT = map(int, os.environ.get("TPC_RANDOM_MODELS", "0,0").split(","))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    if COUNT == 0:
        pytest.skip("set TPC_RANDOM_MODELS=FIRST,COUNT for random models")
    found = subprocess.run([PYTHON, "-c", "import torch, transformers"],
                           capture_output=True)
    if found.returncode:
        pytest.skip(f"{PYTHON} has no torch or no transformers; "
                    "set TPC_TRANSFORMERS_PYTHON")
    folder = tmp_path_factory.mktemp("models")
    script = pathlib.Path(__file__).with_name("random_models.py")
    subprocess.run([PYTHON, str(script), str(folder), str(FIRST), str(COUNT),
                    *FAMILIES], check=True)
    return folder


def steps_that_are_clear(logits):
    """How many tokens are chosen by a margin, one after the other."""
    best = np.sort(logits, axis=-1)
    clear = best[:, -1] - best[:, -2] > 1e-3 * np.abs(logits).max()
    return len(clear) if clear.all() else int(clear.argmin())


@pytest.mark.parametrize("seed", range(FIRST, FIRST + max(COUNT, 1)))
@pytest.mark.parametrize("name", FAMILIES)
def test_equals_transformers(name, seed, models, tmp_path):
    folder = models / f"{name}-{seed}"
    expected = read_safetensors(folder / "expected.safetensors")
    draw = random.Random(f"{name} {seed}")
    mesh = f"tp={draw.choice([1, 2, 3, 4, 8])}"
    mode = ["--mode", draw.choice(["auto", "megatron"])]

    def close(found, wanted):
        assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()

    found, _ = run_model(folder / "model", mesh,
                         {"input_ids": expected["input_ids"]}, ["logits"],
                         tmp_path, "--entry", "prefill", "--logits", "all",
                         *mode)
    close(found["logits"], expected["logits"])
    tokens, logits = expected["greedy.tokens"], expected["greedy.logits"]
    found, _ = run_model(folder / "model", mesh,
                         {"input_ids": expected["input_ids"][:1]},
                         ["tokens", "logits"], tmp_path, "--generate",
                         len(tokens), *mode)
    clear = steps_that_are_clear(logits)
    assert found["tokens"][0][:clear].tolist() == tokens[:clear].tolist()
    compared = min(clear + 1, len(tokens))
    close(found["logits"][0][:compared], logits[:compared])
