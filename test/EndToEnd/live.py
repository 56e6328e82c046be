"""Models with random weights and configurations, against transformers.

A case is drawn from a seed: a class of transformers, its configuration, what
the config.json says beside it, and inputs. The model is saved, loaded again by
transformers, which says what is expected, and run by tpc-run on a drawn mesh.

`TPC_LIVE_SEEDS=FIRST,COUNT` chooses the seeds; without it, or without torch and
transformers, these tests are skipped.
"""

import dataclasses
import json
import os
import random
import warnings

import numpy as np
import pytest

from tools import run_model

MESHES = ["tp=1", "tp=2", "tp=3", "tp=4", "tp=8", "dp=2,tp=2"]


def seeds():
    first, count = map(int, os.environ.get("TPC_LIVE_SEEDS", "0,0").split(","))
    return range(first, first + count)


def need_transformers():
    """Both modules, or a skip that says what is missing."""
    if not seeds():
        pytest.skip("TPC_LIVE_SEEDS=FIRST,COUNT is not set "
                    "(scripts/test --deep sets it)")
    torch = pytest.importorskip(
        "torch", reason="torch is not installed: no live comparison")
    transformers = pytest.importorskip(
        "transformers",
        reason="transformers is not installed: no live comparison")
    transformers.logging.set_verbosity_error()
    warnings.filterwarnings("ignore")
    torch.set_grad_enabled(False)
    return torch, transformers


@dataclasses.dataclass
class Case:
    """What to build and how to run it."""
    architecture: str
    config_class: str
    config: dict
    inputs: dict
    outputs: list
    # Rows and tokens of the first output that padding leaves of interest.
    valid: object = ...
    # Keys to change in the config.json that is written; None removes one.
    written: dict = dataclasses.field(default_factory=dict)
    # Called with the model before it is saved.
    prepare: object = None
    # Tokens to generate, after `decoder_input_ids` or `input_ids`.
    generate: int = 0


def randomize(torch, model, seed):
    """Weights large enough that every one of them shows in the output."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() < 2:
            isNorm = name.endswith("weight")
            parameter.data = 0.25 * noise + (1.0 if isNorm else 0.0)
        else:
            fan = parameter[0].numel()
            isTable = "embed" in name or "shared" in name
            parameter.data = noise * (0.5 if isTable else fan ** -0.5)


def build(case, folder, seed):
    """Saves the model and returns it as transformers reads it back."""
    torch, transformers = need_transformers()
    config = getattr(transformers, case.config_class)(**case.config)
    config._attn_implementation = "eager"
    model = getattr(transformers, case.architecture)(config).eval()
    randomize(torch, model, seed)
    if case.prepare:
        case.prepare(model)
    model.save_pretrained(folder)
    path = folder / "config.json"
    written = {**json.loads(path.read_text()), **case.written}
    path.write_text(json.dumps(
        {key: value for key, value in written.items() if value is not None}))
    return type(model).from_pretrained(
        folder, attn_implementation="eager").eval()


def expected_outputs(model, case):
    torch, _ = need_transformers()
    given = {name: torch.from_numpy(array)
             for name, array in case.inputs.items()}
    found = model(**given)
    return {name: found[name].numpy() for name in case.outputs}


def expected_tokens(model, case):
    """Greedy tokens and their logits, one whole run for each."""
    torch, _ = need_transformers()
    given = {name: torch.from_numpy(array)
             for name, array in case.inputs.items()}
    prompt = "decoder_input_ids" if "decoder_input_ids" in given \
        else "input_ids"
    tokens, logits = [], []
    for _ in range(case.generate):
        logits.append(model(**given, use_cache=False).logits[:, -1])
        tokens.append(logits[-1].argmax(-1, keepdim=True))
        given[prompt] = torch.cat([given[prompt], tokens[-1]], 1)
    return torch.cat(tokens, 1).numpy(), torch.stack(logits, 1).numpy()


def close(found, expected, where=..., what=""):
    assert found.shape == expected.shape, what
    difference = np.abs(found - expected)[where].max()
    assert difference <= 1e-4 * np.abs(expected).max(), what


def check_generation(model, case, mesh, folder, options):
    tokens, logits = expected_tokens(model, case)
    found, _ = run_model(folder, mesh, case.inputs, ["tokens", "logits"],
                         folder, "--max-new-tokens", case.generate, *options)
    # Where two tokens are nearly alike, either may be chosen, and the rest
    # of the row differs.
    for row in range(tokens.shape[0]):
        for step in range(case.generate):
            close(found["logits"][row, step], logits[row, step],
                  what=f"row {row}, step {step}")
            if found["tokens"][row, step] != tokens[row, step]:
                largest = np.sort(logits[row, step])[-2:]
                assert largest[1] - largest[0] < 1e-3 * np.abs(largest).max()
                break


def check_case(case, seed, folder):
    """One seed: saved, run, compared."""
    model = build(case, folder, seed)
    choose = random.Random(seed)
    mesh = choose.choice(MESHES)
    options = ["--mode", choose.choice(["auto", "megatron"])]
    expected = expected_outputs(model, case)
    found, _ = run_model(folder, mesh, case.inputs, case.outputs, folder,
                         *options)
    for name in case.outputs:
        full = expected[name].shape[:2] == getattr(case.valid, "shape", None)
        close(found[name], expected[name], case.valid if full else ...,
              f"{case.architecture}, {mesh}, {options[1]}: {name}")
    if case.generate:
        check_generation(model, case, mesh, folder, options)


def check_seeds(draw, folder):
    """All seeds; `draw` makes a case of one. Fails with those that differ."""
    need_transformers()
    wrong = []
    for seed in seeds():
        own = folder / str(seed)
        own.mkdir()
        try:
            check_case(draw(seed), seed, own)
        except AssertionError as error:
            wrong.append(f"seed {seed}: {error}")
    assert not wrong, "\n".join(wrong)
