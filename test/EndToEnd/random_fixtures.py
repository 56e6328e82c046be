"""What tests of random models share.

`TPC_RANDOM_MODELS=FIRST,COUNT` chooses the seeds (none, if it is not set:
`scripts/test --deep` sets it), `TPC_RANDOM_FAMILIES` the families, by commas.
`TPC_TRANSFORMERS_PYTHON` is a Python that has torch and transformers; it runs a
script that writes FAMILY-SEED/model and FAMILY-SEED/expected.safetensors.
"""

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

PYTHON = os.environ.get("TPC_TRANSFORMERS_PYTHON", sys.executable)
FIRST, COUNT = map(int, os.environ.get("TPC_RANDOM_MODELS", "0,0").split(","))
SEEDS = range(FIRST, FIRST + max(COUNT, 1))


def chosen(families):
    wanted = os.environ.get("TPC_RANDOM_FAMILIES")
    return [name for name in families
            if wanted is None or name in wanted.split(",")]


def write_models(script, families, folder):
    """Runs the script, or skips with what is missing."""
    if COUNT == 0:
        pytest.skip("set TPC_RANDOM_MODELS=FIRST,COUNT for random models")
    found = subprocess.run([PYTHON, "-c", "import torch, transformers"],
                           capture_output=True)
    if found.returncode:
        pytest.skip(f"{PYTHON} has no torch or no transformers; "
                    "set TPC_TRANSFORMERS_PYTHON")
    path = pathlib.Path(__file__).with_name(script)
    subprocess.run([PYTHON, str(path), str(folder), str(FIRST), str(COUNT),
                    *families], check=True)
    return folder


def close(found, wanted):
    """Within 1e-4 of the largest magnitude."""
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


def steps_that_are_clear(logits):
    """How many tokens are chosen by a margin, one after the other."""
    best = np.sort(logits, axis=-1)
    clear = best[:, -1] - best[:, -2] > 1e-3 * np.abs(logits).max()
    return len(clear) if clear.all() else int(clear.argmin())


def tokens_are(found, tokens, logits):
    """Tokens and logits of one row, as far as choices are clear."""
    clear = steps_that_are_clear(logits)
    assert found["tokens"][0][:clear].tolist() == tokens[:clear].tolist()
    compared = min(clear + 1, len(tokens))
    close(found["logits"][0][:compared], logits[:compared])
