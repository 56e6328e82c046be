"""Hugging Face models: outputs and tokens equal those of transformers."""

import json
import shutil

import numpy as np
import pytest

import tpc
from fixtures import expected, fixtures, model_of

DECODERS = sorted(name for name in fixtures()
                  if "greedy.tokens" in expected(name))
OTHERS = sorted(set(fixtures()) - set(DECODERS))
INPUTS = ("input_ids", "token_type_ids", "pixel_values", "input_features",
          "decoder_input_ids")
OUTPUTS = ("logits", "last_hidden_state", "pooler_output")


def close(found, wanted):
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()


def inputs_of(arrays, prefix=""):
    return {name: arrays[prefix + name] for name in INPUTS + (
        "attention_mask",) if prefix + name in arrays}


@pytest.mark.parametrize("name", sorted(fixtures()))
def test_outputs(name):
    arrays = expected(name)
    m = tpc.load(model_of(name), mesh={"tp": 2}, search_time=1)
    found = m(**inputs_of(arrays))
    wanted = {output: arrays[output] for output in OUTPUTS if output in arrays}
    assert set(found) == set(wanted)
    for output in wanted:
        close(found[output], wanted[output])
    if "padded.attention_mask" in arrays:
        mask = arrays["padded.attention_mask"]
        plain = inputs_of(arrays)
        plain.pop("attention_mask", None)
        padded = m(**{**plain, **inputs_of(arrays, "padded.")})
        for output in set(wanted) - {"pooler_output"}:
            key = f"padded.{output}"
            if key in arrays and arrays[key].shape[:2] == mask.shape:
                close(padded[output] * mask[..., None],
                      arrays[key] * mask[..., None])


@pytest.mark.parametrize("name", DECODERS)
def test_generation(name):
    arrays = expected(name)
    m = tpc.load(model_of(name), mesh={"tp": 2}, search_time=1)
    inputs = {key: value[:1] for key, value in inputs_of(arrays).items()
              if key != "decoder_input_ids"}
    tokens = m.generate(**inputs, max_new_tokens=16, eos_token_id=None)
    assert tokens.dtype == np.int64
    assert tokens.tolist() == [arrays["greedy.tokens"].tolist()]


def text_model(**options):
    return tpc.load(model_of("llama_rope3"), **{"mesh": {"tp": 2}, **options})


PROMPT = expected("llama_rope3")["input_ids"][0]
GREEDY = expected("llama_rope3")["greedy.tokens"].tolist()


def test_rows_of_different_lengths():
    longer = [*PROMPT, *GREEDY[:3]]
    m = text_model()
    made = m.generate([PROMPT, longer], 8)
    assert made.tolist() == [GREEDY[:8], GREEDY[3:11]]
    # The same as padded on either side, with a mask.
    for side in (0, 1):
        pad = [(0, 3) if side else (3, 0)]
        ids = np.stack([np.pad(PROMPT, pad[0]), longer])
        mask = np.stack([np.pad(np.ones(12, int), pad[0]), np.ones(15, int)])
        assert (m.generate(ids, 8, attention_mask=mask) == made).all()
    holes = mask.copy()
    holes[1, 3] = 0
    with pytest.raises(tpc.Error, match="row 1"):
        m.generate(ids, 8, attention_mask=holes)


def test_one_row_and_lists():
    m = text_model()
    for ids in (PROMPT, PROMPT.tolist(), PROMPT[None], [PROMPT.tolist()]):
        assert m.generate(ids, 4).tolist() == [GREEDY[:4]]


def test_weights_are_shared_between_programs():
    m = text_model()
    m.generate(PROMPT, 4)
    first = m.memory
    m.generate([PROMPT] * 3, 40)  # another batch, another context
    m.generate(np.tile(PROMPT, 3), 2)  # another bucket
    m(PROMPT[None])
    assert m.memory["packed"] == first["packed"]
    shared = json.loads(m._native.statistics())["devices"][0]["shared_bytes"]
    assert shared >= first["packed"]
    assert m.generate(PROMPT, 16).tolist() == [GREEDY]


def test_end_tokens():
    m = text_model()
    at = GREEDY.index(GREEDY[5])
    made = m.generation(PROMPT, 16, eos_token_id=GREEDY[at])
    assert made.tokens.tolist() == [GREEDY[:at + 1]]
    assert made.lengths == [at + 1] and len(made.decode_ms) == at
    # A row that ends is filled up while the others go on.
    made = m.generation([PROMPT, [*PROMPT, *GREEDY[:2]]], 8,
                        eos_token_id=[GREEDY[at], 999])
    assert made.lengths == [at + 1, at - 1]
    assert made.tokens[1, at - 1:].tolist() == [0, 0] or set(
        made.tokens[1, at - 1:]) <= {m._defaults.get("pad_token_id") or
                                     GREEDY[at]}


def test_the_directory_says_which_tokens_end(tmp_path):
    shutil.copytree(model_of("llama_rope3"), tmp_path / "m")
    (tmp_path / "m/generation_config.json").write_text(
        json.dumps({"eos_token_id": [GREEDY[3]], "pad_token_id": 7}))
    m = tpc.load(tmp_path / "m")
    at = GREEDY.index(GREEDY[3])
    assert m.generate(PROMPT, 16).shape == (1, at + 1)


def test_tokens_by_chance():
    m = text_model()
    first = m.generate(PROMPT, 12, temperature=2.0, seed=5)
    assert (first == m.generate(PROMPT, 12, temperature=2.0, seed=5)).all()
    assert (first == text_model(mesh={"tp": 1}).generate(
        PROMPT, 12, temperature=2.0, seed=5)).all()
    assert (first != m.generate(PROMPT, 12, temperature=2.0, seed=6)).any()
    assert m.generate(PROMPT, 12, temperature=2.0,
                      top_k=1).tolist() == [GREEDY[:12]]
    with pytest.raises(tpc.Error, match="top_p"):
        m.generate(PROMPT, 2, top_p=0)


def test_streaming():
    m = text_model()
    seen = []
    m.generate([PROMPT, PROMPT], 5, on_tokens=seen.append)
    assert seen == [[token, token] for token in GREEDY[:5]]
    assert m.generate(PROMPT, 16, on_tokens=lambda tokens: tokens != [
        GREEDY[2]]).shape == (1, GREEDY.index(GREEDY[2]) + 1)

    def fails(tokens):
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        m.generate(PROMPT, 16, on_tokens=fails)


def test_plans():
    m = text_model(plan={"model.layers.*.mlp.down_proj": "replicated"})
    with pytest.raises(tpc.Error, match="nothing is compiled"):
        m.plan
    m.generate(PROMPT, 4)
    assert m.plan.mesh == {"tp": 2}
    assert "replicated" in m.explain("model.layers.0.mlp.down_proj.weight")
    assert "device" in tpc.visualize(m, "model.embed_tokens.weight").svg()
    with pytest.raises(tpc.Error, match="colwize"):
        text_model(plan={"x": "colwize"})


def test_element_types():
    m = text_model(dtype="bf16")
    found = m(PROMPT[None])["logits"]
    assert found.dtype.name == "bfloat16"
    wanted = expected("llama_rope3")["logits"][:1]
    assert np.abs(found.astype(np.float32) - wanted).max() < 0.1 * np.abs(
        wanted).max()


ERRORS = {
    "no directory": (lambda: tpc.load("/nonexistent"), "/nonexistent"),
    "mesh": (lambda: text_model(mesh={"tp": -1})(PROMPT[None]), "tp=-1"),
    "type": (lambda: text_model(dtype="f8"), "f8"),
    "device": (lambda: text_model(device="tpu"), "tpu"),
    "context": (lambda: text_model(context=16).generate(PROMPT, 16), "27"),
    "input": (lambda: text_model()(PROMPT[None], pixels=[1]), "pixels"),
    "rank": (lambda: text_model()(PROMPT), "[batch, length]"),
    "mask": (lambda: text_model()(PROMPT[None], attention_mask=[[1]]),
             "attention_mask"),
    "none": (lambda: text_model()(), "input_ids"),
    "no new tokens": (lambda: text_model().generate(PROMPT, 0), "at least 1"),
    "empty row": (lambda: text_model().generate([[1], []]), "empty"),
    "encoder": (lambda: tpc.load(model_of("bert")).generate(PROMPT), "decode"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    call, message = ERRORS[name]
    with pytest.raises(tpc.Error) as error:
        call()
    assert message in str(error.value), str(error.value)
