"""How a tensor lies on a mesh, as text and as SVG."""

from __future__ import annotations

import html
import itertools
from typing import Any, Sequence

from tpc._errors import error_here
from tpc._graph import Value

_COLORS = ("#8dd3c7", "#ffffb3", "#bebada", "#fb8072", "#80b1d3", "#fdb462",
           "#b3de69", "#fccde5", "#d9d9d9", "#bc80bd", "#ccebc5", "#ffed6f")


class Picture:
    """Blocks of a tensor, and the devices that hold each. Prints as text;
    notebooks show the SVG."""

    def __init__(self, title: str, shape: Sequence[int],
                 mesh: dict[str, int], dims: Sequence[Sequence[str]],
                 partial: Sequence[str]):
        self.title = title
        self.shape = tuple(shape)
        self._mesh = mesh
        self._partial = list(partial)
        self._counts = [self._parts(axes) for axes in dims]
        self._dims = [list(axes) for axes in dims]

    def _part(self, axis: str) -> tuple[str, int, int]:
        """Name, parts before it, and size of an axis like "tp" or "tp:(2)2"."""
        name, _, part = axis.partition(":")
        if not part:
            return name, 1, self._mesh[name]
        before, _, size = part[1:].partition(")")
        return name, int(before), int(size)

    def _parts(self, axes: Sequence[str]) -> int:
        count = 1
        for axis in axes:
            count *= self._part(axis)[2]
        return count

    def devices(self) -> dict[tuple[int, ...], list[int]]:
        """The devices of each block, by its position in every dimension."""
        names = list(self._mesh)
        blocks: dict[tuple[int, ...], list[int]] = {}
        for device, place in enumerate(itertools.product(
                *(range(self._mesh[name]) for name in names))):
            position = []
            for axes in self._dims:
                number = 0
                for axis in axes:
                    name, before, size = self._part(axis)
                    minor = self._mesh[name] // (before * size)
                    number = number * size + (
                        place[names.index(name)] // minor) % size
                position.append(number)
            blocks.setdefault(tuple(position), []).append(device)
        return blocks

    def ranges(self, dim: int, block: int) -> tuple[int, int]:
        """First and last + 1 index of a block along a dimension (blocks are
        cut evenly, axis by axis; later ones may be short or empty)."""
        start, length, end = 0, self.shape[dim], self.shape[dim]
        number, rest = block, self._counts[dim]
        for axis in self._dims[dim]:
            size = self._part(axis)[2]
            rest //= size
            length = -(-length // size)
            start += number // rest * length
            end = min(end, start + length)
            number %= rest
        return min(start, end), end

    def _labels(self) -> tuple[list[str], list[str], dict]:
        """The two dimensions that are drawn: all but the last one are rows."""
        rank = len(self.shape)
        rows = list(itertools.product(*(range(count) for count in
                                        self._counts[:max(rank - 1, 0)])))
        columns = [(i,) for i in range(self._counts[-1])] if rank else [()]

        def name(position: tuple[int, ...], first: int) -> str:
            parts = []
            for offset, block in enumerate(position):
                begin, end = self.ranges(first + offset, block)
                parts.append("empty" if begin == end else f"{begin}:{end}")
            return ", ".join(parts)

        cells = {}
        for position, devices in self.devices().items():
            row = position[:max(rank - 1, 0)]
            column = position[-1:] if rank else ()
            cells[rows.index(row), columns.index(column)] = devices
        return ([name(row, 0) for row in rows],
                [name(column, max(rank - 1, 0)) for column in columns], cells)

    def __str__(self) -> str:
        rows, columns, cells = self._labels()
        body = [[label] + [" ".join(map(str, cells[i, j]))
                           for j in range(len(columns))]
                for i, label in enumerate(rows)]
        table = [["", *columns], *body]
        widths = [max(len(line[j]) for line in table)
                  for j in range(len(columns) + 1)]
        rule = "+".join("-" * (width + 2) for width in widths)
        lines = [self.title]
        if self._partial:
            lines.append("partial over " + ", ".join(self._partial) +
                         ": each device holds a term of the sum")
        for line in table:
            lines.append("|".join(f" {text:<{width}} " for text, width in
                                  zip(line, widths)).rstrip())
            lines.append(rule)
        return "\n".join(lines)

    __repr__ = __str__

    def svg(self) -> str:
        rows, columns, cells = self._labels()
        width, height, left, top = 110, 44, 130, 50
        total = (left + width * len(columns) + 10,
                 top + height * len(rows) + 10)
        parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{total[0]}" '
                 f'height="{total[1]}" font-family="sans-serif" '
                 f'font-size="12">',
                 f'<text x="4" y="16">{html.escape(self.title)}</text>']
        for j, label in enumerate(columns):
            parts.append(f'<text x="{left + width * j + 4}" y="{top - 6}">'
                         f'{html.escape(label)}</text>')
        for i, label in enumerate(rows):
            y = top + height * i
            parts.append(f'<text x="4" y="{y + 26}">{html.escape(label)}'
                         f'</text>')
            for j in range(len(columns)):
                devices = cells[i, j]
                color = _COLORS[devices[0] % len(_COLORS)]
                parts.append(
                    f'<rect x="{left + width * j}" y="{y}" width="{width}" '
                    f'height="{height}" fill="{color}" stroke="#333"/>'
                    f'<text x="{left + width * j + 6}" y="{y + 26}">device '
                    f'{html.escape(" ".join(map(str, devices)))}</text>')
        return "".join(parts) + "</svg>"

    def _repr_svg_(self) -> str:
        return self.svg()


def visualize(what: Any, name: str | None = None) -> Picture:
    """How a tensor lies on its mesh: its blocks, and the devices that hold
    each. `what` is a value of a graph that was compiled; or an executable,
    model or plan, with the name of one of its values."""
    if isinstance(what, Value):
        plan, found = what.graph.plan, []
        if plan is None:
            raise error_here("visualize: the graph is not compiled yet, so "
                             "nothing is decided about its values")
        found = [value for value in plan.values()
                 if value["number"] == what._number or
                 (what._name and value["name"] == what._name)]
        if not found:
            raise error_here("visualize: the compiler replaced this value by "
                             "others; name one of plan.values()")
    else:
        plan = what if hasattr(what, "values") else what.plan
        found = plan.values(name or "")
        if not found:
            plan.explain(name or "")  # names what there is
            raise error_here(f"visualize: expected the name of one value, found "
                             f"{name!r}, which is a part of the model")
    value = found[0]
    sizes = "x".join([*map(str, value["shape"]), value["dtype"]])
    return Picture(f"{value['name']}: {sizes}, {value['sharding']}",
                   value["shape"], plan.mesh, value["dims"], value["partial"])
