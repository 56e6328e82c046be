"""Random decoders against transformers, with options that no fixture has
(random_fixtures.py)."""

import random

import pytest

from random_fixtures import SEEDS, chosen, close, tokens_are, write_models
from tools import read_safetensors, run_model

FAMILIES = chosen("""
    BloomForCausalLM CohereForCausalLM DeepseekV3ForCausalLM FalconForCausalLM
    GPT2LMHeadModel GPTJForCausalLM GPTNeoXForCausalLM Gemma2ForCausalLM
    Gemma3ForCausalLM GemmaForCausalLM GptOssForCausalLM GraniteForCausalLM
    LlamaForCausalLM MistralForCausalLM MixtralForCausalLM MptForCausalLM
    OPTForCausalLM Olmo2ForCausalLM OlmoForCausalLM Phi3ForCausalLM
    PhiForCausalLM Qwen2ForCausalLM Qwen2MoeForCausalLM Qwen3ForCausalLM
    Qwen3MoeForCausalLM SmolLM3ForCausalLM StableLmForCausalLM
    Starcoder2ForCausalLM""".split())


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return write_models("random_models.py", FAMILIES,
                        tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", FAMILIES)
def test_equals_transformers(name, seed, models, tmp_path):
    folder = models / f"{name}-{seed}"
    expected = read_safetensors(folder / "expected.safetensors")
    draw = random.Random(f"{name} {seed}")
    mesh = f"tp={draw.choice([1, 2, 3, 4, 8])}"
    mode = ["--mode", draw.choice(["auto", "megatron"])]

    found, _ = run_model(folder / "model", mesh,
                         {"input_ids": expected["input_ids"]}, ["logits"],
                         tmp_path, "--entry", "prefill", "--logits", "all",
                         *mode)
    close(found["logits"], expected["logits"])
    tokens, logits = expected["greedy.tokens"], expected["greedy.logits"]
    found, _ = run_model(folder / "model", mesh,
                         {"input_ids": expected["input_ids"][:1]},
                         ["tokens", "logits"], tmp_path, "--max-new-tokens",
                         len(tokens), *mode)
    tokens_are(found, tokens, logits)
