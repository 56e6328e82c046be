"""Operations on values of a graph: those of the dialect, with inferred shapes,
and what numpy users expect beside them. Shapes are named as in the reference
of the dialect; numbers broadcast, and so do values, as in numpy.

Errors are `tpc.Error` and name the line of the call.
"""

from __future__ import annotations

import builtins
import math
from typing import Any, Sequence

import numpy as np

from tpc._arrays import DTYPES, dtype_name
from tpc._errors import error_here
from tpc._graph import Value, sharding_text

Number = Any

# -- Attributes in the syntax of MLIR ------------------------------------------


def _ints(values: Sequence[int]) -> str:
    return f"array<i64: {', '.join(map(str, values))}>" if len(
        values) else "array<i64>"


def _int(value: int) -> str:
    return f"{int(value)} : i64"


def _float(value: float) -> str:
    return "0x%016X : f64" % np.float64(value).view(np.uint64)


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _word(kind: str, value: str) -> str:
    return f"#tpc<{kind} {value}>"


# -- Arguments -----------------------------------------------------------------


def _is_value(x: Any) -> bool:
    return isinstance(x, Value)


def _require(x: Any, what: str = "x") -> Value:
    if not _is_value(x):
        raise error_here(f"{what}: expected a value of a graph, found "
                         f"{type(x).__name__}")
    return x


def _dim(dim: int, rank: int) -> int:
    if not -rank <= dim < rank:
        raise error_here(f"expected a dimension from {-rank} to {rank - 1}, "
                         f"found {dim}")
    return dim % rank


def _dims(dims: Any, rank: int) -> list[int]:
    if dims is None:
        return list(range(rank))
    if isinstance(dims, int):
        dims = [dims]
    return sorted({_dim(dim, rank) for dim in dims})


def _like(x: Value, dtype: str | None = None) -> tuple:
    return dtype or x.dtype, x.shape


def _one(op: str, operands: Sequence[Value], attributes: dict, result: tuple
         ) -> Value:
    return operands[0].graph._op(op, operands, attributes, [result])[0]


def _broadcast_shape(*shapes: Sequence[int]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise error_here("expected shapes that broadcast together, found " +
                         " and ".join(map(str, shapes))) from None


def _together(*xs: Any) -> list[Value]:
    """Numbers and arrays become constants of the values' type, and all get one
    shape."""
    values = [x for x in xs if _is_value(x)]
    if not values:
        raise error_here("expected a value of a graph among the operands")
    first = values[0]
    made = [x if _is_value(x) else constant(first.graph, x, first.dtype)
            for x in xs]
    shape = _broadcast_shape(*(x.shape for x in made))
    return [broadcast_to(x, shape) for x in made]


# -- Values from nothing -------------------------------------------------------


def constant(graph: Any, value: Any, dtype: Any = None) -> Value:
    """The array, or number, as a value of the graph."""
    array = np.asarray(value)
    if dtype is None:
        dtype = {"f": "f32", "i": "i64", "b": "bool"}.get(array.dtype.kind,
                                                          array.dtype)
    dtype = dtype_name(dtype)
    array = np.ascontiguousarray(array, DTYPES[dtype]).reshape(array.shape)
    element = "i1" if dtype == "bool" else dtype
    sizes = "x".join([*map(str, array.shape), element])
    if array.size == 1:
        data = array.reshape(()).astype(np.float64)
        if dtype in ("i32", "i64"):
            content = str(int(array.reshape(())))
        elif dtype == "bool":
            content = str(bool(data)).lower()
        else:
            bits = array.view(f"u{array.itemsize}").reshape(())
            content = "0x%0*X" % (2 * array.itemsize, bits)
    elif dtype == "bool":
        content = _nested(array)
    else:
        content = '"0x' + array.tobytes().hex().upper() + '"'
    return graph._op("constant", [], {
        "value": f"dense<{content}> : tensor<{sizes}>"},
        [(dtype, array.shape)])[0]


def _nested(array: np.ndarray) -> str:
    if array.ndim == 0:
        return str(bool(array)).lower()
    return "[" + ", ".join(_nested(part) for part in array) + "]"


def iota(graph: Any, shape: Sequence[int], dim: int = 0, dtype: Any = "i64"
         ) -> Value:
    """Each element's index along `dim`."""
    shape = tuple(shape)
    return graph._op("iota", [], {"dim": _int(_dim(dim, len(shape)))},
                     [(dtype_name(dtype), shape)])[0]


def zeros(graph: Any, shape: Sequence[int], dtype: Any = "f32") -> Value:
    return full(graph, shape, 0, dtype)


def full(graph: Any, shape: Sequence[int], value: Number, dtype: Any = "f32"
         ) -> Value:
    return broadcast_to(constant(graph, value, dtype), shape)


# -- Element by element --------------------------------------------------------


def _unary(op: str, summary: str) -> Any:
    def function(x: Value) -> Value:
        return _one(op, [_require(x)], {}, _like(x))

    function.__name__ = function.__qualname__ = op
    function.__doc__ = summary
    return function


neg = _unary("neg", "-x")
abs = _unary("abs", "|x|")
exp = _unary("exp", "e^x")
log = _unary("log", "ln x")
sqrt = _unary("sqrt", "Square root.")
rsqrt = _unary("rsqrt", "1 / square root")
sin = _unary("sin", "Sine.")
cos = _unary("cos", "Cosine.")
tanh = _unary("tanh", "Hyperbolic tangent.")
erf = _unary("erf", "Gaussian error function.")
logical_not = _unary("not", "not x, of bool")
silu = _unary("silu", "x / (1 + e^-x)")


def _binary(op: str, summary: str) -> Any:
    def function(x: Any, y: Any) -> Value:
        left, right = _together(x, y)
        return _one(op, [left, right], {}, _like(left))

    function.__name__ = function.__qualname__ = op
    function.__doc__ = summary
    return function


add = _binary("add", "x + y")
sub = _binary("sub", "x - y")
mul = _binary("mul", "x * y")
div = _binary("div", "x / y; of integers, towards zero")
maximum = _binary("max", "The larger of both.")
minimum = _binary("min", "The smaller of both.")
pow = _binary("pow", "x^y")
logical_and = _binary("and", "x and y, of bool")
logical_or = _binary("or", "x or y, of bool")


def compare(predicate: str, x: Any, y: Any) -> Value:
    """bool: x `predicate` y, which is one of eq, ne, lt, le, gt, ge."""
    left, right = _together(x, y)
    return _one("compare", [left, right],
                {"predicate": _word("predicate", predicate)},
                _like(left, "bool"))


def equal(x: Any, y: Any) -> Value:
    return compare("eq", x, y)


def where(condition: Value, x: Any, y: Any) -> Value:
    """x where the condition holds, else y."""
    _require(condition, "condition")
    chosen = [v for v in (x, y) if _is_value(v)]
    if not chosen:
        raise error_here("where: expected a value of a graph for x or y")
    x, y = (v if _is_value(v) else
            constant(condition.graph, v, chosen[0].dtype) for v in (x, y))
    shape = _broadcast_shape(condition.shape, x.shape, y.shape)
    operands = [broadcast_to(v, shape) for v in (condition, x, y)]
    return _one("select", operands, {}, (x.dtype, shape))


def convert(x: Value, dtype: Any) -> Value:
    """The same numbers in another type."""
    return _one("convert", [_require(x)], {}, (dtype_name(dtype), x.shape))


def relu(x: Value) -> Value:
    return maximum(x, 0)


def sigmoid(x: Value) -> Value:
    return 1 / (1 + exp(-x))


def gelu(x: Value, form: str = "erf") -> Value:
    """Gaussian error linear unit, exact ("erf") or approximated ("tanh")."""
    return _one("gelu", [_require(x)], {"form": _word("gelu_form", form)},
                _like(x))


# -- Shapes --------------------------------------------------------------------


def reshape(x: Value, *shape: Any) -> Value:
    """One size may be -1."""
    sizes = list(shape[0] if len(shape) == 1 and not isinstance(shape[0], int)
                 else shape)
    if sizes.count(-1) == 1:
        known = math.prod(size for size in sizes if size != -1)
        total = math.prod(x.shape)
        if known == 0 or total % known:
            raise error_here(f"expected a shape of {total} elements, found "
                             f"{tuple(sizes)}")
        sizes[sizes.index(-1)] = total // known
    return x if tuple(sizes) == x.shape else _one("reshape", [x], {},
                                                  (x.dtype, sizes))


def transpose(x: Value, *permutation: int) -> Value:
    """Dimension i of the result is dimension permutation[i] of x; without one,
    the order is reversed."""
    order = [_dim(dim, x.rank) for dim in permutation
             ] or list(range(x.rank))[::-1]
    if sorted(order) != list(range(x.rank)):
        raise error_here(f"expected a permutation of {x.rank} dimensions, "
                         f"found {permutation}")
    return _one("transpose", [x], {"permutation": _ints(order)},
                (x.dtype, [x.shape[dim] for dim in order]))


def broadcast(x: Value, shape: Sequence[int], dims: Sequence[int]) -> Value:
    """Dimension i of x becomes dimension dims[i] of the result."""
    return _one("broadcast", [x], {"dims": _ints(list(dims))},
                (x.dtype, list(shape)))


def broadcast_to(x: Value, shape: Sequence[int]) -> Value:
    """As numpy: dimensions are added at the front, ones are repeated."""
    shape = tuple(shape)
    if shape == x.shape:
        return x
    if _broadcast_shape(x.shape, shape) != shape:
        raise error_here(f"expected a shape that {x.shape} broadcasts to, "
                         f"found {shape}")
    return broadcast(x, shape, range(len(shape) - x.rank, len(shape)))


def slice(x: Value, offsets: Sequence[int], sizes: Sequence[int]) -> Value:
    """The part of these sizes that begins at `offsets`."""
    return _one("slice", [x], {"offsets": _ints(list(offsets))},
                (x.dtype, list(sizes)))


def index(x: Value, key: Any) -> Value:
    """x[key] for numbers, slices without steps, ..., None, and values of
    integers, which choose along the dimension that they stand for."""
    keys = list(key) if isinstance(key, tuple) else [key]
    given = sum(k is not None and k is not Ellipsis for k in keys)
    if keys.count(Ellipsis) if not any(map(_is_value, keys)) else False:
        at = keys.index(Ellipsis)
        keys[at:at + 1] = [builtins.slice(None)] * (x.rank - given)
    else:
        keys += [builtins.slice(None)] * (x.rank - given)
    if given > x.rank:
        raise error_here(f"expected at most {x.rank} indices, found {given}")
    offsets, sizes, shape, gathers = [], [], [], []
    for k in keys:
        if k is None:
            shape.append(1)
            continue
        dim = len(offsets)
        if _is_value(k):
            gathers.append((len(shape), k))
            offsets.append(0)
            sizes.append(x.shape[dim])
            shape.append(x.shape[dim])
        elif isinstance(k, builtins.slice):
            begin, end, step = k.indices(x.shape[dim])
            if step != 1 or end <= begin:
                raise error_here(
                    f"expected a slice of at least one element with step 1, "
                    f"found {k} of dimension {dim} with {x.shape[dim]}")
            offsets.append(begin)
            sizes.append(end - begin)
            shape.append(end - begin)
        else:
            offsets.append(_dim(int(k), x.shape[dim]))
            sizes.append(1)
    if tuple(sizes) != x.shape:
        x = slice(x, offsets, sizes)
    x = reshape(x, shape)
    for dim, indices in reversed(gathers):
        x = gather(x, indices, dim)
    return x


def dynamic_slice(x: Value, start: Value, sizes: Sequence[int]) -> Value:
    """The part of these sizes that begins at `start` [rank], clamped."""
    return _one("dynamic_slice", [x, start], {}, (x.dtype, list(sizes)))


def update_slice(x: Value, update: Value, start: Value) -> Value:
    """x with the part that begins at `start` replaced: [rank], or a row for
    each index of dimension 0, [n, rank - 1]."""
    return _one("update_slice", [x, update, start], {}, _like(x))


def pad(x: Value, low: Sequence[int], high: Sequence[int], value: float = 0
        ) -> Value:
    """x surrounded by `value`."""
    sizes = [a + size + b for a, size, b in zip(low, x.shape, high)]
    return _one("pad", [x], {"low": _ints(list(low)), "value": _float(value)},
                (x.dtype, sizes))


def concat(xs: Sequence[Value], dim: int = 0) -> Value:
    """One after the other along `dim`."""
    xs = [_require(x, "concat") for x in xs]
    if not xs:
        raise error_here("concat: expected at least one value, found none")
    dim = _dim(dim, xs[0].rank)
    shape = list(xs[0].shape)
    shape[dim] = sum(x.shape[dim] if dim < x.rank else 0 for x in xs)
    return _one("concat", xs, {"dim": _int(dim)}, (xs[0].dtype, shape))


# -- Choosing ------------------------------------------------------------------


def gather(table: Value, indices: Value, dim: int = 0) -> Value:
    """result[before, i, after] = table[before, indices[i], after]; an index
    outside gives zeros."""
    dim = _dim(dim, table.rank)
    shape = [*table.shape[:dim], *indices.shape, *table.shape[dim + 1:]]
    return _one("gather", [table, indices], {"dim": _int(dim)},
                (table.dtype, shape))


def scatter_add(x: Value, indices: Value, updates: Value, dim: int = 0
                ) -> Value:
    """x with updates[before, i, after] added at indices[i] along `dim`."""
    return _one("scatter_add", [x, indices, updates],
                {"dim": _int(_dim(dim, x.rank))}, _like(x))


def sort(x: Value, descending: bool = False) -> tuple[Value, Value]:
    """Values and their positions along the last dimension; stable."""
    values, positions = x.graph._op(
        "sort", [x], {"descending": "unit"} if descending else {},
        [_like(x), _like(x, "i64")])
    return values, positions


def top_k(x: Value, k: int) -> tuple[Value, Value]:
    """The k largest along the last dimension, and where they stand."""
    shape = (*x.shape[:-1], k)
    values, positions = x.graph._op("top_k", [x], {},
                                    [(x.dtype, shape), ("i64", shape)])
    return values, positions


# -- Sums and products ---------------------------------------------------------


def reduce(kind: str, x: Value, dims: Any = None, keep: bool = False) -> Value:
    """`kind`: sum, max or min over `dims` (default: all); `keep` leaves them
    with size 1."""
    dims = _dims(dims, x.rank)
    shape = [size for dim, size in enumerate(x.shape) if dim not in dims]
    result = _one("reduce", [x], {"reduction": _word("reduction", kind),
                                  "dims": _ints(dims)}, (x.dtype, shape))
    if keep:
        result = reshape(result, [1 if dim in dims else size
                                  for dim, size in enumerate(x.shape)])
    return result


def mean(x: Value, dims: Any = None, keep: bool = False) -> Value:
    count = math.prod(x.shape[dim] for dim in _dims(dims, x.rank))
    return reduce("sum", x, dims, keep) * (1 / count)


def _equation(lhs: Value, rhs: Value) -> str:
    """The equation of a matrix product: of the last dimension of lhs and the
    one before the last of rhs; those before are batches."""
    if lhs.rank < 1 or rhs.rank < 2:
        raise error_here(
            "matmul: expected lhs [..., k] and rhs [k, n] or [..., k, n], found "
            f"{lhs.shape} and {rhs.shape}; use einsum() for others")
    batch = [f"b{i}" for i in range(rhs.rank - 2)]
    rows = [f"m{i}" for i in range(lhs.rank - 1 - len(batch))]
    return (f"{' '.join([*batch, *rows, 'k'])}, {' '.join([*batch, 'k', 'n'])}"
            f" -> {' '.join([*batch, *rows, 'n'])}")


def matmul(lhs: Value, rhs: Value) -> Value:
    """lhs [..., k] times rhs [k, n], or [batch..., m..., k] times
    [batch..., k, n]."""
    return einsum(_equation(lhs, rhs), lhs, rhs)


def _contracted(equation: str, lhs: Value, rhs: Value) -> list[int]:
    try:
        operands, result = equation.split("->")
        left, right = operands.split(",")
    except ValueError:
        raise error_here("expected an equation like \"b s e, e f -> b s f\", "
                         f"found {equation!r}") from None
    sizes: dict[str, int] = {}
    for names, operand in ((left.split(), lhs), (right.split(), rhs)):
        if len(names) != operand.rank:
            raise error_here(f"equation {equation!r}: expected rank "
                             f"{len(names)}, found {operand.shape}")
        for name, size in zip(names, operand.shape):
            if sizes.setdefault(name, size) != size:
                raise error_here(
                    f"equation {equation!r}: expected one size of {name}, "
                    f"found {sizes[name]} and {size} in {lhs.shape} and "
                    f"{rhs.shape}")
    for name in result.split():
        if name not in sizes:
            raise error_here(f"equation {equation!r}: {name} is in no operand")
    return [sizes[name] for name in result.split()]


def einsum(equation: str, lhs: Value, rhs: Value) -> Value:
    """A contraction: "b s e, e h d -> b s h d"; names are words."""
    return _one("matmul", [_require(lhs), _require(rhs)],
                {"equation": _text(equation)},
                (lhs.dtype, _contracted(equation, lhs, rhs)))


def linear(x: Value, weight: Value, bias: Value, equation: str | None = None
           ) -> Value:
    """x times weight plus bias, which has the last dimensions of the result."""
    equation = equation or _equation(x, weight)
    return _one("linear", [x, weight, bias], {"equation": _text(equation)},
                (x.dtype, _contracted(equation, x, weight)))


# -- Parts of models -----------------------------------------------------------


def softmax(x: Value) -> Value:
    """Along the last dimension."""
    return _one("softmax", [_require(x)], {}, _like(x))


def cross_entropy(logits: Value, labels: Value) -> Value:
    """-ln softmax(logits)[label] for logits [..., v] and labels [...]; 0 where
    a label is outside."""
    return _one("cross_entropy", [logits, labels], {},
                (logits.dtype, labels.shape))


def layer_norm(x: Value, weight: Value, bias: Value, epsilon: float = 1e-5
               ) -> Value:
    """Over the last dimension."""
    return _one("layer_norm", [x, weight, bias], {"epsilon": _float(epsilon)},
                _like(x))


def rms_norm(x: Value, weight: Value, epsilon: float = 1e-6) -> Value:
    """x / sqrt(mean(x^2) + epsilon) * weight over the last dimension."""
    return _one("rms_norm", [x, weight], {"epsilon": _float(epsilon)}, _like(x))


def rope(x: Value, positions: Value, frequencies: Value, form: str = "halves",
         scale: float = 1.0) -> Value:
    """Rotary positions: x [p..., m..., d], positions [p...], frequencies
    [r / 2]; `form` says which elements turn together, "halves" or "pairs"."""
    return _one("rope", [x, positions, frequencies],
                {"form": _word("rope_form", form), "scale": _float(scale)},
                _like(x))


def embedding(table: Value, tokens: Value) -> Value:
    """Rows of table [v, e] for tokens [...]."""
    return _one("embedding", [table, tokens], {},
                (table.dtype, [*tokens.shape, *table.shape[1:]]))


def grouped_matmul(rows: Value, choices: Value, weights: Value) -> Value:
    """rows [n..., d] or [n..., c, d] times the matrices weights [e, d, f] that
    choices [n..., c] name: [n..., c, f]."""
    return _one("grouped_matmul", [rows, choices, weights], {},
                (rows.dtype, [*choices.shape, weights.shape[-1]]))


def experts(x: Value, choices: Value, scores: Value, gate: Value, up: Value,
            down: Value) -> Value:
    """Gated MLPs of which every row of x [n..., d] takes those of choices
    [n..., c], times scores; gate and up [e, d, f], down [e, f, h]."""
    return _one("experts", [x, choices, scores, gate, up, down], {},
                (x.dtype, [*x.shape[:-1], down.shape[-1]]))


def attention(query: Value, key: Value, value: Value, *,
              scale: float | None = None, causal: bool = False,
              window: int | None = None, softcap: float | None = None,
              bias: Value | None = None, lengths: Value | None = None,
              offset: Value | None = None, sinks: Value | None = None) -> Value:
    """query [b, s, k, g, d], key [b, t, k, d], value [b, t, k, v]: k key/value
    heads and g query heads for each give [b, s, k, g, v]. `scale` is
    1 / sqrt(d) unless it is given; `lengths` [b] are the keys that count,
    `offset` the position of the first query, `sinks` [k, g]."""
    if query.rank != 5 or value.rank != 4:
        raise error_here(
            "attention: expected query [b, s, k, g, d] and value [b, t, k, v], "
            f"found {query.shape} and {value.shape}")
    optional = [bias, lengths, offset, sinks]
    segments = [1, 1, 1] + [int(x is not None) for x in optional]
    attributes = {
        "operandSegmentSizes": f"array<i32: {', '.join(map(str, segments))}>",
        "scale": _float(query.shape[-1]**-0.5 if scale is None else scale),
    }
    if causal:
        attributes["causal"] = "unit"
    if window is not None:
        attributes["window"] = _int(window)
    if softcap is not None:
        attributes["softcap"] = _float(softcap)
    operands = [query, key, value] + [x for x in optional if x is not None]
    return _one("attention", operands, attributes,
                (query.dtype, [*query.shape[:-1], value.shape[-1]]))


def shard(x: Value, sharding: Any) -> Value:
    """The same value, split so: an axis, a list of axes or None for each
    dimension."""
    return _one("shard", [_require(x)], {
        "sharding": f"#tpc.sharding<@mesh, {sharding_text(sharding)}>"},
        _like(x))
