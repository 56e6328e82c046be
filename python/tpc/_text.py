"""Text in and out of models: what the commands of `tpc` do."""

from __future__ import annotations

import os
import sys
import time
from typing import Any, Callable, Sequence

import numpy as np

from tpc import _tpc
from tpc._model import Generation, Model


def tokenizer_of(directory: str) -> Any:
    """The directory's tokenizer."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise _tpc.Error("text needs the package tokenizers: pip install "
                         "tokenizers") from None
    path = os.path.join(directory, "tokenizer.json")
    if not os.path.exists(path):
        raise _tpc.Error(f"{directory}: expected a tokenizer.json, found none; "
                         "pass tokens instead, Model.generate(ids)")
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:  # the library raises nothing narrower
        raise _tpc.Error(f"{path}: {error}") from None
    tokenizer.no_padding()
    return tokenizer


def position_limit(config: dict) -> int | None:
    """How many tokens the model was made for, if the configuration says so."""
    for key in ("max_position_embeddings", "n_positions", "max_seq_len",
                "seq_length"):
        if isinstance(config.get(key), int):
            return config[key]
    return None


def encode(model: Model, tokenizer: Any, text: str, room: int = 0) -> list[int]:
    """The tokens of a text, with `room` for more in the model's positions."""
    tokens = tokenizer.encode(text).ids
    if not tokens:
        raise _tpc.Error("expected a prompt of at least one token, found none")
    limit = position_limit(model.config)
    if limit is not None and len(tokens) + room > limit:
        more = f" and {room} new ones" if room else ""
        raise _tpc.Error(f"expected at most {limit} tokens, which the model has "
                         f"positions for, found {len(tokens)} of the text{more}")
    return tokens


class Stream:
    """Writes text as tokens come: what a token adds is known once it ends in
    whole characters."""

    def __init__(self, tokenizer: Any, write: Callable[[str], Any]):
        self._tokenizer = tokenizer
        self._write = write
        self._tokens: list[int] = []
        self._written = ""

    def __call__(self, tokens: Sequence[int]) -> None:
        self._tokens.append(tokens[0])
        text = self._tokenizer.decode(self._tokens)
        if not text.endswith("\ufffd"):
            self._write(text[len(self._written):])
            self._written = text


def generate_text(model: Model, prompt: str, max_new_tokens: int,
                  **options: Any) -> tuple[Generation, float]:
    """Streams the continuation of a prompt to the standard output; what was
    generated, and the seconds to the first token."""
    tokenizer = tokenizer_of(model.directory)
    tokens = encode(model, tokenizer, prompt, max_new_tokens - 1)
    first: list[float] = []
    stream = Stream(tokenizer, lambda text: print(text, end="", flush=True))
    begin = time.perf_counter()

    def on_tokens(new: list[int]) -> None:
        if not first:
            first.append(time.perf_counter() - begin)
        stream(new)

    made = model.generation([tokens], max_new_tokens, on_tokens=on_tokens,
                            **options)
    print()
    return made, first[0]


def embed_texts(model: Model, texts: Sequence[str]) -> np.ndarray:
    """Unit vectors [texts, hidden]: means of the last hidden states over each
    text's tokens."""
    tokenizer = tokenizer_of(model.directory)
    rows = [encode(model, tokenizer, text) for text in texts]
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, :len(row)] = row
        mask[i, :len(row)] = 1
    outputs = model(input_ids=ids, attention_mask=mask)
    if "last_hidden_state" not in outputs:
        raise _tpc.Error(f"{model.directory}: expected an encoder, with the "
                         f"output last_hidden_state, found "
                         f"{', '.join(outputs)}")
    hidden = outputs["last_hidden_state"].astype(np.float32)
    means = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    return means / np.linalg.norm(means, axis=-1, keepdims=True)


def report_speed(made: Generation, first: float) -> None:
    """Figures of a generation, on the error output beside the text."""
    count = made.lengths[0]
    text = f"{count} tokens, the first after {first:.3f} s"
    if made.decode_ms:
        seconds = sum(made.decode_ms) / 1e3
        text += f", then {len(made.decode_ms) / seconds:.1f} tokens/s"
    print(text, file=sys.stderr)
