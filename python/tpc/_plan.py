"""What a compile decided, for people and programs."""

from __future__ import annotations

import fnmatch
import html
import json
import os
from typing import Any

from tpc import _tpc


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            return f"{count:.0f} {unit}" if unit == "B" else (
                f"{count:.1f} {unit}")
        count /= 1024
    raise AssertionError


class Memory(dict):
    """Bytes on one device by what they are for."""

    @classmethod
    def of_runtime(cls, statistics: str) -> "Memory":
        """What each device holds, from the runtime's statistics."""
        device = json.loads(statistics)["devices"][0]
        names = ("weight", "packed", "state", "arena", "scratch")
        return cls({name: device[f"{name}_bytes"] for name in names})

    def __repr__(self) -> str:
        return ", ".join(f"{name} {_bytes(size)}" for name, size in
                         self.items())


class Plan:
    """How a model is split, and why: prints as a table."""

    def __init__(self, report: str, text: str, values: str, file: str = ""):
        #: The report as a dictionary (docs/report.md).
        self.report: dict[str, Any] = json.loads(report)
        self._text = text
        self._file = file
        self._values: list[dict[str, Any]] = json.loads(values)

    @property
    def mesh(self) -> dict[str, int]:
        return self.report["mesh"]

    @property
    def collectives(self) -> list[dict[str, Any]]:
        """Collectives of one call, alike ones with their `count`."""
        return self.report["collectives"]

    @property
    def parameters(self) -> list[dict[str, Any]]:
        return self.report["parameters"]

    @property
    def memory(self) -> Memory:
        """Bytes that one device reserves, by purpose."""
        return Memory(self.report["memory"]["reserved"])

    def values(self, pattern: str = "*") -> list[dict[str, Any]]:
        """Values by name pattern: shape, local shape, the axes of each
        dimension, and reshards."""
        return [value for value in self._values
                if fnmatch.fnmatchcase(value["name"], pattern)]

    def explain(self, pattern: str) -> str:
        """How the values of this name, or pattern, or of the parts below it
        lie on the mesh, what is communicated for them, and why."""
        found = self.values(pattern) or self.values(f"{pattern}.*")
        if not found:
            names = sorted({value["name"] for value in self._values})
            near = [name for name in names if pattern.split(".")[-1] in name]
            raise _tpc.Error(
                f"explain: expected the name of a value, found {pattern!r}; "
                f"there are, for example, {', '.join((near or names)[:8])}")
        lines = []
        for value in found:
            sizes = "x".join([*map(str, value["shape"]), value["dtype"]])
            local = "x".join(map(str, value["local"])) or "scalar"
            entry = f" of {value['entry']}" if value["entry"] else ""
            lines.append(f"{value['name']} ({value['kind']}{entry}): {sizes}, "
                         f"{value['sharding']}, {local} on a device")
            lines += [f"    {reshard}" for reshard in value["reshards"]]
        return "\n".join(lines)

    def save(self, path: str | os.PathLike) -> None:
        """Writes the plan file, which `tpc.compile(plan_file=...)` and
        `tpc-run --plan` follow (docs/explain.md)."""
        if not self._file:
            raise _tpc.Error("save: there is a plan file of graphs only; of a "
                             "model's directory `tpc-run --plan-out` writes it")
        with open(path, "w", encoding="utf-8") as output:
            output.write(self._file)

    def to_json(self) -> str:
        return json.dumps(self.report, indent=2)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        def table(title: str, rows: list[dict], columns: list[str]) -> str:
            head = "".join(f"<th>{html.escape(c)}</th>" for c in columns)
            body = "".join(
                "<tr>" + "".join(f"<td>{html.escape(str(row[c]))}</td>"
                                 for c in columns) + "</tr>" for row in rows)
            return (f"<table><caption>{html.escape(title)}</caption>"
                    f"<tr>{head}</tr>{body}</table>")

        mesh = ", ".join(f"{name}={size}" for name, size in self.mesh.items())
        memory = [{"part": name, "bytes": _bytes(size)}
                  for name, size in self.memory.items()]
        return (table(f"Parameters on {mesh}", self.parameters,
                      ["pattern", "shape", "local", "sharding", "count"]) +
                table("Collectives", self.collectives,
                      ["kind", "axes", "bytes", "count", "origin"]) +
                table("Memory of a device", memory, ["part", "bytes"]))
