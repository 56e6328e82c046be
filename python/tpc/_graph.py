"""Graphs on whole tensors, built by Python expressions."""

from __future__ import annotations

import contextlib
import fnmatch
from typing import Any, Iterator, Mapping, Sequence

from tpc import _tpc
from tpc._arrays import dtype_name
from tpc._errors import caller, error_here

#: What a plan may say of a parameter or scope, as `tp_plan` spells it.
PLAN_WORDS = {
    "colwise": "colwise", "colwise_rep": "colwise",
    "colwise_gather_output": "colwise", "local_colwise": "colwise",
    "rowwise": "rowwise", "rowwise_rep": "rowwise",
    "rowwise_split_input": "rowwise", "local_rowwise": "rowwise",
    "replicated": "replicated", "sequence_parallel": "sequence_parallel",
}

class Value:
    """A tensor of a graph: its `shape`, `dtype` ("f32", ...), and operators."""

    __slots__ = ("graph", "shape", "dtype", "_number", "_name")
    __array_ufunc__ = None  # array + value is ours

    def __init__(self, graph: "Graph", number: int, shape: Sequence[int],
                 dtype: str, name: str = ""):
        self.graph = graph
        self.shape = tuple(shape)
        self.dtype = dtype
        self._number = number
        self._name = name

    @property
    def rank(self) -> int:
        return len(self.shape)

    def __repr__(self) -> str:
        sizes = "x".join([*map(str, self.shape), self.dtype])
        return f"tpc.Value({self._name + ': ' if self._name else ''}{sizes})"

    def __bool__(self) -> bool:
        raise error_here(
            "a value of a graph has no truth: it is computed when the graph is "
            "run; choose between values with tpc.where()")

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("a scalar has no length")
        return self.shape[0]

    # Operators are functions of tpc.ops.
    def __add__(self, other: Any) -> "Value":
        return _ops().add(self, other)

    def __radd__(self, other: Any) -> "Value":
        return _ops().add(other, self)

    def __sub__(self, other: Any) -> "Value":
        return _ops().sub(self, other)

    def __rsub__(self, other: Any) -> "Value":
        return _ops().sub(other, self)

    def __mul__(self, other: Any) -> "Value":
        return _ops().mul(self, other)

    def __rmul__(self, other: Any) -> "Value":
        return _ops().mul(other, self)

    def __truediv__(self, other: Any) -> "Value":
        return _ops().div(self, other)

    def __rtruediv__(self, other: Any) -> "Value":
        return _ops().div(other, self)

    def __pow__(self, other: Any) -> "Value":
        return _ops().pow(self, other)

    def __matmul__(self, other: "Value") -> "Value":
        return _ops().matmul(self, other)

    def __neg__(self) -> "Value":
        return _ops().neg(self)

    def __abs__(self) -> "Value":
        return _ops().abs(self)

    def __and__(self, other: Any) -> "Value":
        return _ops().logical_and(self, other)

    def __or__(self, other: Any) -> "Value":
        return _ops().logical_or(self, other)

    def __invert__(self) -> "Value":
        return _ops().logical_not(self)

    def __lt__(self, other: Any) -> "Value":
        return _ops().compare("lt", self, other)

    def __le__(self, other: Any) -> "Value":
        return _ops().compare("le", self, other)

    def __gt__(self, other: Any) -> "Value":
        return _ops().compare("gt", self, other)

    def __ge__(self, other: Any) -> "Value":
        return _ops().compare("ge", self, other)

    def __getitem__(self, index: Any) -> "Value":
        return _ops().index(self, index)

    def reshape(self, *shape: Any) -> "Value":
        return _ops().reshape(self, *shape)

    def transpose(self, *permutation: int) -> "Value":
        return _ops().transpose(self, *permutation)

    @property
    def T(self) -> "Value":
        return _ops().transpose(self)

    def astype(self, dtype: Any) -> "Value":
        return _ops().convert(self, dtype)

    def sum(self, dims: Any = None, keep: bool = False) -> "Value":
        return _ops().reduce("sum", self, dims, keep)

    def max(self, dims: Any = None, keep: bool = False) -> "Value":
        return _ops().reduce("max", self, dims, keep)

    def mean(self, dims: Any = None, keep: bool = False) -> "Value":
        return _ops().mean(self, dims, keep)


def _ops():
    from tpc import ops
    return ops


class Graph:
    """A model on whole tensors.

        g = tpc.Graph()
        x = g.input("x", (8, 64))
        w = g.parameter("w", (64, 256))
        g.output(y=tpc.gelu(x @ w))

    Entries beside `main` share parameters and states: `with g.entry("decode"):`

    `mesh`, {"dp": 2, "tp": 4}, is what the graph is compiled for unless
    tpc.compile gets another one. `plan` pins by
    name pattern, in the words of a Hugging Face `tp_plan`: parameters are
    "colwise" (split along dimensions that are kept), "rowwise" (along those
    that are contracted) or "replicated"; the value that a scope makes last is
    split along its sequence, the dimension before the last, over "tp" by
    "sequence_parallel".

        {"layers.*.up": "colwise", "layers.*.down": "rowwise",
         "layers.*.norm": "sequence_parallel"}
    """

    def __init__(self, mesh: Mapping[str, int] | None = None,
                 plan: Mapping[str, str] | None = None) -> None:
        self._native = _tpc.Graph()
        self._scope: list[str] = []
        self._symbols: dict[str, tuple[tuple[int, ...], str]] = {}
        self._entry = "main"
        self._latest: Value | None = None
        #: What was decided when the graph was compiled last.
        self.plan: Any = None
        if mesh:
            self._native.set_mesh(mesh_text(mesh))
        self._plan = dict(plan or {})
        self._unused = set(self._plan)
        for pattern, word in self._plan.items():
            if word not in PLAN_WORDS:
                raise error_here(f"plan: expected one of "
                                 f"{', '.join(PLAN_WORDS)} for {pattern!r}, "
                                 f"found {word!r}")

    # -- Names and places ---------------------------------------------------

    def _place(self) -> tuple[str, int, str]:
        return *caller(), ".".join(self._scope)

    def _call(self, method: Any, *arguments: Any) -> Any:
        """Calls the extension with the caller's place; an error that names no
        place gets it."""
        place = self._place()
        try:
            return method(*arguments, place)
        except _tpc.Error as error:
            here = f"{place[0]}:{place[1]}"
            text = str(error)
            raise _tpc.Error(text if here in text else f"{here}: {text}"
                             ) from None

    @contextlib.contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """What is made inside is called `name` in plans and messages; scopes
        nest ("layer.0.mlp")."""
        outer, self._latest = self._latest, None
        self._scope.append(name)
        try:
            yield
            self._plan_scope(".".join(self._scope))
        finally:
            self._scope.pop()
            self._latest = outer if self._latest is None else (
                self._latest)

    @contextlib.contextmanager
    def entry(self, name: str) -> Iterator[None]:
        """What is made inside belongs to the entry `name`."""
        outer, self._entry = self._entry, name
        self._native.enter(name)
        try:
            yield
        finally:
            self._entry = outer
            self._native.enter(outer)

    # -- Inputs, parameters, states, outputs --------------------------------

    def input(self, name: str, shape: Sequence[int], dtype: Any = "f32",
              sharding: Any = None) -> Value:
        """An input of the current entry."""
        dtype = dtype_name(dtype)
        number = self._call(self._native.input, name, (dtype, list(shape)))
        if sharding is not None:
            self.pin(f"@{name}", sharding)
        return Value(self, number, shape, dtype, name)

    def parameter(self, name: str, shape: Sequence[int], dtype: Any = "f32", *,
                  stored: str | Sequence[str] | None = None,
                  stored_shape: Sequence[int] | None = None,
                  stored_dtype: Any = None, transposed: bool = False,
                  sharding: Any = None) -> Value:
        """A parameter, which is read from the stored tensor `stored` (default:
        of its name). That may have another type, and another shape of as many
        elements; `transposed` swaps its two dimensions first. Several names
        are stacked along a new first dimension."""
        dtype = dtype_name(dtype)
        names = [stored or name] if isinstance(stored or name,
                                               str) else list(stored)
        stacked = not isinstance(stored or name, str)
        part = tuple(shape)[1:] if stacked else tuple(shape)
        if stored_shape is None:
            stored_shape = part[::-1] if transposed else part
        view, current = [], tuple(stored_shape)
        if transposed:
            view.append("#tpc.view_step<transpose [1, 0]>")
            current = current[::-1]
        if current != part:
            view.append(f"#tpc.view_step<reshape {list(part)}>")
        if stacked:
            view.append("#tpc.view_step<stack [0]>")
        self._call(self._native.parameter, name, (dtype, list(shape)), names,
                   (dtype_name(stored_dtype or dtype), list(stored_shape)),
                   f"[{', '.join(view)}]" if view else "")
        self._symbols[name] = (tuple(shape), dtype)
        if sharding is not None:
            self.pin(name, sharding)
        else:
            self._plan_parameter(name)
        return self.read(name)

    def state(self, name: str, shape: Sequence[int], dtype: Any = "f32",
              sharding: Any = None) -> Value:
        """Memory that lives across calls, zero at first; the value that it has
        when the entry starts."""
        dtype = dtype_name(dtype)
        self._call(self._native.state, name, (dtype, list(shape)))
        self._symbols[name] = (tuple(shape), dtype)
        if sharding is not None:
            self.pin(name, sharding)
        return self.read(name)

    def read(self, name: str) -> Value:
        """The value of a parameter or state that is declared already."""
        number = self._call(self._native.read, name)
        shape, dtype = self._symbols[name]
        return Value(self, number, shape, dtype, name)

    def write(self, name: str, value: Value) -> None:
        """Gives the state a new value."""
        self._call(self._native.write, name, value._number)

    def output(self, **values: Value) -> None:
        """Names outputs of the current entry: `g.output(logits=x)`."""
        for name, value in values.items():
            self._call(self._native.output, name, value._number)

    # -- Sharding -----------------------------------------------------------

    def pin(self, name: str, sharding: Any) -> None:
        """What must hold of parameters, states (`name` may be a pattern with
        `*`), inputs and outputs ("@x"): a sharding like ("tp", None), or
        "colwise", "rowwise", "replicated"."""
        self._native.pin(f"{name}={sharding_text(sharding)}")

    def _planned(self, *names: str) -> str | None:
        """The word of the first pattern that one of the names matches."""
        for pattern, word in self._plan.items():
            if any(fnmatch.fnmatchcase(name, pattern) for name in names):
                self._unused.discard(pattern)
                return PLAN_WORDS[word]
        return None

    def _plan_parameter(self, name: str) -> None:
        word = self._planned(name, name.removesuffix(".weight"),
                             name.removesuffix(".bias"))
        # What is added after a contraction cannot be split along it.
        is_vector = len(self._symbols[name][0]) == 1
        if word == "replicated" or (word == "rowwise" and is_vector):
            self.pin(name, "replicated")
        elif word in ("colwise", "rowwise"):
            self.pin(name, word)

    def _plan_scope(self, name: str) -> None:
        value = self._latest
        if self._planned(name) != "sequence_parallel" or value is None:
            return
        if value.rank < 2:
            raise error_here(
                f"plan: sequence_parallel of {name!r} needs a value of at least "
                f"2 dimensions, found {value}")
        sharding: list[Any] = [None] * value.rank
        sharding[-2] = "tp"
        # Whoever holds the value goes on with the sharded one.
        value._number = _ops().shard(value, sharding)._number

    def _check_plan(self) -> None:
        if self._unused:
            raise error_here(
                "plan: expected patterns of parameters or scopes, found "
                f"{sorted(self._unused)}, which match none; there are "
                f"{sorted(self._symbols)[:20]}")

    # -- Whole graphs -------------------------------------------------------

    def to_mlir(self) -> str:
        """The graph as text, which `tpc-run` and `tpc.parse` read."""
        self._check_plan()
        return self._native.text()

    def _op(self, operation: str, operands: Sequence[Value],
            attributes: Mapping[str, str],
            results: Sequence[tuple[str, Sequence[int]]]) -> list[Value]:
        for operand in operands:
            if operand.graph is not self:
                raise error_here("a value of another graph; values belong to "
                                 "the graph that they were made in")
        numbers = self._call(
            self._native.op, f"tpc.{operation}",
            [operand._number for operand in operands],
            list(attributes.items()),
            [(dtype, [int(size) for size in shape])
             for dtype, shape in results])
        values = [Value(self, number, shape, dtype)
                  for number, (dtype, shape) in zip(numbers, results)]
        self._latest = values[0]
        return values


def parse(text: str, name: str = "graph.mlir") -> Graph:
    """A graph from MLIR text. It can be compiled and printed, not added to."""
    graph = Graph()
    graph._native = _tpc.Graph.parse(text, name)
    return graph


def sharding_text(sharding: Any) -> str:
    """A sharding in the syntax of pins: ("tp", None) is [{"tp"}, {}], and an
    entry may be a list of axes; text is taken as it is."""
    if isinstance(sharding, str):
        return sharding

    def axes(entry: Any) -> str:
        names = [] if entry is None else (
            [entry] if isinstance(entry, str) else list(entry))
        return "{" + ", ".join(f'"{name}"' for name in names) + "}"

    return "[" + ", ".join(axes(entry) for entry in sharding) + "]"


def mesh_text(mesh: Mapping[str, int] | str) -> str:
    """{"dp": 2, "tp": 4} as "dp=2,tp=4"; text is taken as it is."""
    if isinstance(mesh, str):
        return mesh
    return ",".join(f"{name}={size}" for name, size in mesh.items())
