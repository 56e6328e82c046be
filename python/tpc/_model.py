"""Models of Hugging Face directories."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping, Sequence

import numpy as np

from tpc import _tpc
from tpc._arrays import from_native, to_native
from tpc._executable import assign_arguments, check_device
from tpc._graph import mesh_text
from tpc._plan import Memory, Plan

#: Inputs that are numbers of tokens or marks.
_INTEGERS = ("input_ids", "attention_mask", "token_type_ids",
             "decoder_input_ids")


@dataclass
class Generation:
    """What a generation made, and how long it took."""

    tokens: np.ndarray  # [b, n] i64
    lengths: list[int]  # of each row, the end token included
    prefill_ms: float
    decode_ms: list[float]


class Model:
    """A model that compiles what it is asked for. `tpc.load` opens one.

        m = tpc.load("DIR", mesh={"tp": 4})
        m(input_ids=ids, attention_mask=mask)["logits"]
        m.generate(ids, max_new_tokens=16)

    A program is compiled for each shape that is met (lengths are rounded up);
    all share the weights, which are split as the first one decided.
    """

    def __init__(self, directory: str | os.PathLike, native: Any):
        self.directory = os.fspath(directory)
        self._native = native
        self.config = self._json("config.json")
        self._defaults = {**self.config, **self._json("generation_config.json")}

    def _json(self, name: str) -> dict[str, Any]:
        try:
            with open(os.path.join(self.directory, name),
                      encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {}

    def __call__(self, input_ids: Any = None, **inputs: Any
                 ) -> dict[str, np.ndarray]:
        """The outputs by the names that transformers gives them: `logits` (of
        all tokens), or `last_hidden_state` and `pooler_output`. Where
        `attention_mask` is 0 a decoder's logits are 0."""
        if input_ids is not None:
            inputs["input_ids"] = input_ids
        outputs = self._native.run(_arrays(inputs))
        return {name: from_native(value) for name, value in outputs.items()}

    def generate(self, input_ids: Any = None, max_new_tokens: int = 16, *,
                 attention_mask: Any = None, temperature: float = 0,
                 top_k: int = 0, top_p: float = 1, seed: int = 0,
                 eos_token_id: int | Sequence[int] | None | str = "config",
                 on_tokens: Callable[[list[int]], Any] | None = None,
                 **inputs: Any) -> np.ndarray:
        """New tokens [batch, n], n at most `max_new_tokens`.

        input_ids: [batch, length], or rows of different lengths, or one row.
        temperature: 0 takes the likeliest token; else one by chance, of the
            `top_k` likeliest and of those whose probabilities reach `top_p`.
        eos_token_id: ends a row, what follows is the padding token; default:
            what the directory says; None: nothing does.
        on_tokens: called with the tokens [batch] of every step; False stops.
        inputs: of encoder-decoders, `input_features` in place of input_ids, and
            `decoder_input_ids` to begin with another token than the directory
            says.
        """
        return self.generation(
            input_ids, max_new_tokens, attention_mask=attention_mask,
            temperature=temperature, top_k=top_k, top_p=top_p, seed=seed,
            eos_token_id=eos_token_id, on_tokens=on_tokens, **inputs).tokens

    def generation(self, input_ids: Any = None, max_new_tokens: int = 16, *,
                   attention_mask: Any = None, temperature: float = 0,
                   top_k: int = 0, top_p: float = 1, seed: int = 0,
                   eos_token_id: int | Sequence[int] | None | str = "config",
                   on_tokens: Callable[[list[int]], Any] | None = None,
                   **inputs: Any) -> Generation:
        """`generate`, with lengths and times."""
        if eos_token_id == "config":
            eos_token_id = self._defaults.get("eos_token_id")
        ends = ([] if eos_token_id is None else
                [int(eos_token_id)] if isinstance(eos_token_id, int) else
                [int(token) for token in eos_token_id])
        pad = self._defaults.get("pad_token_id")
        if pad is None or pad < 0:
            pad = ends[0] if ends else 0
        if input_ids is not None:
            inputs["input_ids"], inputs["attention_mask"] = _rows(
                input_ids, attention_mask)
        start = self._defaults.get("decoder_start_token_id")
        if start is not None and "decoder_input_ids" not in inputs and inputs:
            batch = len(next(iter(inputs.values())))
            inputs["decoder_input_ids"] = np.full((batch, 1), start, np.int64)
        made = self._native.generate(
            _arrays(inputs), int(max_new_tokens),
            (float(temperature), int(top_k), float(top_p), int(seed)), ends,
            int(pad), on_tokens)
        return Generation(**made)

    # -- What was decided ---------------------------------------------------

    @property
    def plan(self) -> Plan:
        """Of the first program, which decided how the weights are split."""
        report = self._native.report()
        if not report:
            raise _tpc.Error("nothing is compiled yet: call the model, or "
                             "generate() with it, first")
        return Plan(report, self._native.plan(), self._native.values())

    def explain(self, name: str) -> str:
        """Plan.explain"""
        return self.plan.explain(name)

    @property
    def memory(self) -> Memory:
        """Bytes that each device holds for the program that ran last."""
        statistics = self._native.statistics()
        if statistics is None:
            raise _tpc.Error("nothing is loaded yet: call the model, or "
                             "generate() with it, first")
        return Memory.of_runtime(statistics)


def _arrays(inputs: Mapping[str, Any]) -> list[tuple]:
    return [to_native(name, value, "i64" if name in _INTEGERS else "f32")
            for name, value in inputs.items() if value is not None]


def _rows(ids: Any, mask: Any) -> tuple[Any, Any]:
    """Tokens [b, s] and their mask; lists of different lengths are filled up,
    and one row is a batch."""
    if isinstance(ids, (list, tuple)) and ids and not np.isscalar(ids[0]):
        lengths = [len(row) for row in ids]
        if mask is None and len(set(lengths)) > 1:
            if min(lengths) < 1:
                raise _tpc.Error("generate: expected at least one token in "
                                 "every row, found an empty one")
            rows = np.zeros((len(ids), max(lengths)), np.int64)
            filled = np.zeros_like(rows)
            for row, mark, tokens in zip(rows, filled, ids):
                row[:len(tokens)] = tokens
                mark[:len(tokens)] = 1
            return rows, filled
    if not hasattr(ids, "__dlpack__"):
        ids = np.asarray(ids)
    if getattr(ids, "ndim", 2) == 1:
        ids = np.asarray(ids)[None]
        mask = None if mask is None else np.asarray(mask).reshape(1, -1)
    return ids, mask


def load(directory: str | os.PathLike,
         mesh: Mapping[str, int] | str | None = None, *, device: str = "cpu",
         dtype: str = "f32", context: int | None = None, mode: str = "auto",
         machine: str = "cpu", memory_limit: int | None = None,
         mix: Mapping[str, float] | None = None, pins: Any = (),
         plan: Mapping[str, str] | None = None, search_time: float = 20,
         threads: int = 0) -> Model:
    """Opens a Hugging Face directory: config.json and safetensors.

    mesh: {"dp": 2, "tp": 4}; default: one device.
    dtype: what is computed in, "f32", "bf16", "f16" or "stored".
    context: tokens that the caches hold per row; default: what is needed.
    plan: pins by name pattern, like a `tp_plan`:
        {"model.layers.*.mlp.down_proj": "rowwise"}.
    Others as in `tpc.compile`.
    """
    check_device(device)
    words = {"colwise": "colwise", "rowwise": "rowwise",
             "replicated": "replicated"}
    requests = list(pins or ())
    for pattern, word in (plan or {}).items():
        if word not in words:
            raise _tpc.Error(f"plan: expected one of {', '.join(words)} for "
                             f"{pattern!r}, found {word!r}")
        requests.append(f"{pattern}.weight={words[word]}")
    native = _tpc.Model.open(
        os.fspath(directory), mesh_text(mesh or {"tp": 1}), dtype,
        assign_arguments(mode, machine, memory_limit, mix, requests,
                         search_time), device, threads, context)
    return Model(directory, native)
