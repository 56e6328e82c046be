"""Compiled graphs."""

from __future__ import annotations

import json
import os
from typing import Any, Mapping

import numpy as np

from tpc import _tpc
from tpc._arrays import from_native, to_native
from tpc._graph import Graph, mesh_text
from tpc._plan import Memory, Plan


def assign_arguments(mode: str, machine: str, memory_limit: int | None,
                     mix: Mapping[str, float] | None, pins: Any,
                     search_time: float,
                     plan_file: str | os.PathLike | None = None) -> tuple:
    """Options of the assignment as the extension takes them."""
    plan = None
    if plan_file is not None:
        if mode != "auto":
            raise _tpc.Error("expected one of plan_file and mode")
        try:
            with open(plan_file, encoding="utf-8") as file:
                plan = os.fspath(plan_file), file.read()
        except (OSError, UnicodeDecodeError) as error:
            raise _tpc.Error(f"plan_file: {error}") from None
    weights = ",".join(f"{entry}={weight}"
                       for entry, weight in (mix or {}).items())
    return (mode, machine, memory_limit, weights, list(pins or ()),
            float(search_time), plan)


def check_device(device: str) -> None:
    if device not in ("cpu", "cuda"):
        raise _tpc.Error(f"device: expected \"cpu\" or \"cuda\", found "
                         f"{device!r}")


class Executable:
    """A compiled model, loaded. Call it with the inputs by name:

        outputs = exe(x=array)

    With one output the result is its array, else a dictionary by name. Entries
    beside the first are `exe.run("decode", ...)`.
    """

    def __init__(self, artifact: Any, native: Any, plan: Plan | None):
        self._artifact = artifact
        self._native = native
        self._plan = plan

    @property
    def entries(self) -> list[str]:
        return self._native.entries()

    def _checked(self, entry: str | None) -> str:
        if entry is None:
            return self.entries[0]
        if entry not in self.entries:
            raise _tpc.Error(f"there is no entry {entry!r}; expected one of "
                             f"{', '.join(self.entries)}")
        return entry

    def inputs(self, entry: str | None = None) -> dict[str, tuple]:
        """Type and shape by name."""
        return {name: (dtype, tuple(shape)) for name, dtype, shape in
                self._native.inputs(self._checked(entry))}

    def outputs(self, entry: str | None = None) -> dict[str, tuple]:
        """Type and shape by name."""
        return {name: (dtype, tuple(shape)) for name, dtype, shape in
                self._native.outputs(self._checked(entry))}

    def __call__(self, **inputs: Any) -> Any:
        outputs = self.run(None, **inputs)
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def run(self, entry: str | None = None, /, **inputs: Any
            ) -> dict[str, np.ndarray]:
        """Runs an entry (default: the first). Inputs are numpy arrays, numbers,
        lists, or anything with `__dlpack__`. Other threads run meanwhile."""
        entry = self._checked(entry)
        expected = self.inputs(entry)
        arrays = [to_native(name, value, expected.get(name, (None,))[0])
                  for name, value in inputs.items()]
        outputs = self._native.run(entry, arrays)
        return {name: from_native(value) for name, value in outputs.items()}

    # -- States -------------------------------------------------------------

    @property
    def states(self) -> dict[str, tuple]:
        """Type and shape by name."""
        return {name: (dtype, tuple(shape))
                for name, dtype, shape in self._native.states()}

    def reset(self) -> None:
        """All states become zero."""
        self._native.reset_states()

    def read_state(self, name: str) -> np.ndarray:
        return from_native(self._native.read_state(name))

    def write_state(self, name: str, value: Any) -> None:
        dtype = self.states.get(name, (None,))[0]
        _, array, bits = to_native(name, value, dtype)
        self._native.write_state(name, array, bits)

    # -- What was decided ---------------------------------------------------

    @property
    def plan(self) -> Plan:
        """Splits, collectives and memory; prints as a table."""
        if self._plan is None:
            raise _tpc.Error("a loaded artifact has no plan: it is there where "
                             "the model is compiled")
        return self._plan

    def explain(self, name: str) -> str:
        """Plan.explain"""
        return self.plan.explain(name)

    @property
    def memory(self) -> Memory:
        """Bytes that each device holds, by purpose."""
        return Memory.of_runtime(self._native.statistics())

    def save(self, path: str | os.PathLike) -> None:
        """Writes the artifact, which `tpc.load_artifact`, `tpcrt-run` and the C
        interface run; it has no weights in it."""
        self._artifact.write(os.fspath(path))


def weights_of(weights: Any) -> Any:
    """A path of safetensors, or a dictionary of arrays by stored name."""
    if weights is None:
        return _tpc.Weights()
    if isinstance(weights, (str, os.PathLike)):
        return _tpc.Weights.open(os.fspath(weights))
    native = _tpc.Weights()
    native.add([to_native(name, value) for name, value in weights.items()])
    return native


def compile(graph: Graph, mesh: Mapping[str, int] | str | None = None,
            weights: Any = None, *, device: str = "cpu", mode: str = "auto",
            machine: str = "cpu", memory_limit: int | None = None,
            mix: Mapping[str, float] | None = None, pins: Any = (),
            search_time: float = 20, plan_file: str | os.PathLike | None = None,
            threads: int = 0) -> Executable:
    """Compiles a graph for a mesh of devices and loads it.

    mesh: {"dp": 2, "tp": 4}; default: the graph's, or one device.
    weights: a path of safetensors, or arrays by stored name.
    device: what the mesh's devices are, "cpu" or "cuda" (docs/cuda.md).
    mode: "auto" (least predicted time), "megatron" or "propagate".
    machine: what times are predicted for, a name or file (docs/machines.md).
    memory_limit: bytes of one device.
    mix: how often entries are called, {"prefill": 1, "decode": 100}.
    pins: what must hold, in the syntax of docs/sharding.md.
    search_time: seconds that "auto" may search.
    plan_file: what Plan.save wrote, followed in place of a mode.
    threads: for all devices together; 0: one per core.
    """
    check_device(device)
    graph._check_plan()
    source = weights_of(weights)
    compiled = graph._native.compile(
        None if mesh is None else mesh_text(mesh),
        assign_arguments(mode, machine, memory_limit, mix, pins, search_time,
                         plan_file), device, threads)
    plan = Plan(compiled.report, compiled.plan, compiled.values,
                compiled.plan_file)
    graph.plan = plan
    native = _tpc.Executable.load(compiled.artifact, source, threads)
    return Executable(compiled.artifact, native, plan)


def explain(graph: Graph, value: str | None = None,
            mesh: Mapping[str, int] | str | None = None, *, mode: str = "auto",
            machine: str = "cpu", memory_limit: int | None = None,
            mix: Mapping[str, float] | None = None, pins: Any = (),
            search_time: float = 20,
            plan_file: str | os.PathLike | None = None) -> dict[str, Any]:
    """Why the plan that `tpc.compile` makes is as it is, and what else could
    have been decided: of every collective, or of the parameters, states,
    inputs, outputs and operations whose name `value` is, or matches. The
    dictionary is the `explanation` of docs/report.md; docs/explain.md says what
    it means. Needs no weights."""
    graph._check_plan()
    report = graph._native.explain(
        None if mesh is None else mesh_text(mesh),
        assign_arguments(mode, machine, memory_limit, mix, pins, search_time,
                         plan_file), value)
    return json.loads(report)["explanation"]


def load_artifact(path: str | os.PathLike, weights: Any = None,
                  threads: int = 0) -> Executable:
    """Loads what Executable.save wrote."""
    artifact = _tpc.Artifact.read(os.fspath(path))
    return Executable(artifact, _tpc.Executable.load(
        artifact, weights_of(weights), threads), None)
