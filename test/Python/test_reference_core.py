"""Every core operation of the reference evaluator against its definition in NumPy."""

import math

import numpy as np
import pytest

from reference import check, evaluate, tensor_type, to_bf16

rng = np.random.default_rng(0)


def floats(*shape, scale=1.0):
    return (scale * rng.standard_normal(shape)).astype(np.float32)


def integers(low, high, *shape, dtype=np.int32):
    return rng.integers(low, high, shape, dtype=dtype)


def apply(op, inputs, result, attributes=""):
    """`op` on all inputs, with attributes after them."""
    names = ", ".join(f"%{i}" for i in range(len(inputs)))
    types = ", ".join(tensor_type(x) for x in inputs)
    many = result.startswith("(")
    return evaluate(f"%y{':2' if many else ''} = tpc.{op} {names} {attributes} : ({types}) -> {result}",
                    inputs)


# Elementwise ---------------------------------------------------------------

erf = np.vectorize(math.erf)
UNARY = {
    "neg": np.negative,
    "abs": np.abs,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "erf": erf,
}


@pytest.mark.parametrize("name", UNARY)
def test_unary(name):
    special = np.array([0.0, 1.0, np.inf, np.nan, 1e-30, 50.0], np.float32)
    if name not in ("sin", "cos"):
        special = np.append(special, np.float32(-np.inf))
    x = np.concatenate([special, floats(50, scale=4)])
    with np.errstate(all="ignore"):
        expected = UNARY[name](x.astype(np.float64)).astype(np.float32)
    check(apply(name, [x], tensor_type(x)), expected, 1e-7)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, "bf16"])
def test_unary_rounds_once(dtype):
    x = rng.standard_normal(100)
    if dtype == "bf16":
        x = to_bf16(x)
        expected = to_bf16(np.exp(x.astype(np.float64)))
    else:
        x = x.astype(dtype)
        expected = np.exp(x.astype(np.float64)).astype(dtype)
    check(apply("exp", [x], tensor_type(x)), expected, 1e-15 if dtype == np.float64 else 0)


def test_integers():
    x = integers(-50, 50, 20)
    check(apply("neg", [x], tensor_type(x)), -x)
    check(apply("abs", [x], tensor_type(x)), abs(x))


BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
}


@pytest.mark.parametrize("name", BINARY)
def test_binary(name):
    special = np.array([0.0, 1.0, np.inf, -np.inf, np.nan], np.float32)
    x = np.concatenate([np.repeat(special, 5), floats(20)])
    y = np.concatenate([np.tile(special, 5), floats(20)])
    with np.errstate(all="ignore"):
        expected = BINARY[name](x, y)
    check(apply(name, [x, y], tensor_type(x)), expected)


def test_pow():
    x, y = np.abs(floats(20)), floats(20)
    expected = np.power(x.astype(np.float64), y).astype(np.float32)
    check(apply("pow", [x, y], tensor_type(x)), expected, 1e-7)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "max", "min"])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_binary_integers(name, dtype):
    x, y = integers(-1000, 1000, 20, dtype=dtype), integers(-1000, 1000, 20, dtype=dtype)
    check(apply(name, [x, y], tensor_type(x)), BINARY[name](x, y))


def test_integer_division_goes_towards_zero():
    x, y = np.array([7, -7, 7, -7], np.int32), np.array([2, 2, -2, -2], np.int32)
    check(apply("div", [x, y], "tensor<4xi32>"), np.array([3, -3, -3, 3]))


def test_i32_wraps():
    x = np.array([2**31 - 1, -(2**31)], np.int32)
    y = np.array([1, -1], np.int32)
    check(apply("add", [x, y], "tensor<2xi32>"), np.array([-(2**31), 2**31 - 1]))


def test_logic():
    x, y = np.array([0, 0, 1, 1], bool), np.array([0, 1, 0, 1], bool)
    check(apply("and", [x, y], "tensor<4xi1>"), x & y)
    check(apply("or", [x, y], "tensor<4xi1>"), x | y)
    check(apply("not", [x], "tensor<4xi1>"), ~x)


COMPARE = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


@pytest.mark.parametrize("name", COMPARE)
def test_compare(name):
    values = np.array([0.0, -0.0, 1.0, np.inf, np.nan], np.float32)
    x, y = np.repeat(values, 5), np.tile(values, 5)
    check(apply(f"compare {name}", [x, y], "tensor<25xi1>"), COMPARE[name](x, y))
    x, y = integers(-2, 3, 30, dtype=np.int64), integers(-2, 3, 30, dtype=np.int64)
    check(apply(f"compare {name}", [x, y], "tensor<30xi1>"), COMPARE[name](x, y))


def test_select_ignores_what_is_not_chosen():
    c = np.array([True, False, True])
    x = np.array([1, np.nan, 3], np.float32)
    y = np.array([np.inf, 5, np.nan], np.float32)
    check(apply("select", [c, x, y], "tensor<3xf32>"), np.array([1, 5, 3]))


def test_convert_rounds_to_nearest_even():
    ties = np.array([1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-20, -1 - 2**-8, 3.4e38, 1e-40, np.inf, np.nan],
                    np.float32)
    # 1 + 1/256 is half way between 1 and 1 + 1/128: to even.
    check(apply("convert", [ties], "tensor<8xbf16>"), to_bf16(ties))
    assert to_bf16(ties)[0] == 1 and to_bf16(ties)[1] == 1 + 2**-6
    x = np.array([1 + 2**-11, 65519, 65520, 1e-8, 2**-25, 5.96e-8], np.float32)
    with np.errstate(over="ignore"):
        check(apply("convert", [x], "tensor<6xf16>"), x.astype(np.float16))


def test_convert_between_kinds():
    x = np.array([2.9, -2.9, 0.0, 0.4], np.float32)
    check(apply("convert", [x], "tensor<4xi32>"), np.array([2, -2, 0, 0]))
    check(apply("convert", [x], "tensor<4xi1>"), np.array([True, True, False, True]))
    i = np.array([2**24 + 1, -5], np.int32)
    check(apply("convert", [i], "tensor<2xf32>"), i.astype(np.float32))
    check(apply("convert", [i], "tensor<2xi64>"), i.astype(np.int64))
    b = np.array([True, False])
    check(apply("convert", [b], "tensor<2xf32>"), np.array([1, 0]))


# Creation ------------------------------------------------------------------


def test_constant():
    text = "%y = tpc.constant dense<[[1.5, -2.0], [3.0, 0.1]]> : tensor<2x2xf32> : tensor<2x2xf32>"
    check(evaluate(text, results="tensor<2x2xf32>"), np.array([[1.5, -2], [3, 0.1]], np.float32))
    text = "%y = tpc.constant dense<true> : tensor<2xi1> : tensor<2xi1>"
    check(evaluate(text, results="tensor<2xi1>"), np.array([True, True]))
    text = "%y = tpc.constant dense<-3> : tensor<2xi64> : tensor<2xi64>"
    check(evaluate(text, results="tensor<2xi64>"), np.array([-3, -3]))


@pytest.mark.parametrize("dim", [0, 1])
def test_iota(dim):
    text = f"%y = tpc.iota dim {dim} : tensor<3x4xi64>"
    check(evaluate(text, results="tensor<3x4xi64>"), np.indices((3, 4))[dim])


# Contraction ---------------------------------------------------------------


@pytest.mark.parametrize("equation, lhs, rhs", [
    ("m k, k n -> m n", (3, 70), (70, 5)),
    ("m k, n k -> n m", (3, 7), (5, 7)),
    ("b s e, e h d -> b s h d", (2, 3, 4), (4, 5, 6)),
    ("b s k g d, b t k d -> b k g s t", (2, 3, 2, 4, 5), (2, 6, 2, 5)),
    ("b k, b k -> b", (3, 4), (3, 4)),
    ("a b, b a -> ", (3, 4), (4, 3)),
    ("i, j -> j i", (3,), (4,)),
    ("a x b, b y a -> y x", (2, 3, 4), (4, 5, 2)),
    ("m k, k n -> m n", (0, 4), (4, 2)),
    ("m k, k n -> m n", (2, 0), (0, 2)),
])
def test_matmul(equation, lhs, rhs):
    x, w = floats(*lhs), floats(*rhs)
    letters = {name: chr(97 + i) for i, name in
               enumerate(dict.fromkeys(equation.replace(",", " ").replace("->", " ").split()))}
    text = "".join(letters.get(word, word) for word in
                   equation.replace(",", " , ").replace("->", " -> ").split())
    expected = np.einsum(text, x.astype(np.float64), w.astype(np.float64)).astype(np.float32)
    result = tensor_type(expected)
    check(apply("matmul", [x, w], result, f'"{equation}"'), expected, 1e-6)


def test_matmul_of_large_blocks():
    x, w = floats(37, 300), floats(300, 1100)
    expected = (x.astype(np.float64) @ w.astype(np.float64)).astype(np.float32)
    check(apply("matmul", [x, w], "tensor<37x1100xf32>", '"m k, k n -> m n"'), expected, 1e-5)


def test_bf16_matmul_accumulates_wide_and_rounds_once():
    x, w = to_bf16(np.ones((1, 1000))), to_bf16(np.full((1000, 1), 0.01))
    expected = to_bf16(1000 * np.float64(w[0, 0]))
    assert expected != 1  # a running sum in bf16 would stop growing much earlier
    check(apply("matmul", [x, w], "tensor<1x1xbf16>", '"m k, k n -> m n"'), expected.reshape(1, 1))


def test_integer_matmul():
    x, w = integers(-9, 9, 3, 4), integers(-9, 9, 4, 2)
    check(apply("matmul", [x, w], "tensor<3x2xi32>", '"m k, k n -> m n"'), x @ w)


@pytest.mark.parametrize("name, function", [("sum", np.sum), ("max", np.max), ("min", np.min)])
@pytest.mark.parametrize("dims", [[], [0], [1], [0, 2], [0, 1, 2]])
def test_reduce(name, function, dims):
    x = floats(2, 3, 4)
    expected = x if not dims else function(x.astype(np.float64), axis=tuple(dims)).astype(np.float32)
    check(apply(f"reduce {name}", [x], tensor_type(np.asarray(expected)), f"dims {dims}"), expected, 1e-7)


def test_reduce_of_nothing_is_the_identity():
    x = np.zeros((2, 0), np.float32)
    for name, value in [("sum", 0), ("max", -np.inf), ("min", np.inf)]:
        check(apply(f"reduce {name}", [x], "tensor<2xf32>", "dims [1]"), np.full(2, value))
    x = np.zeros((2, 0), np.int32)
    for name, value in [("sum", 0), ("max", -(2**31)), ("min", 2**31 - 1)]:
        check(apply(f"reduce {name}", [x], "tensor<2xi32>", "dims [1]"), np.full(2, value))


def test_reduce_max_keeps_nan():
    x = np.array([[1, np.nan, 2], [np.nan, -np.inf, 1]], np.float32)
    check(apply("reduce max", [x], "tensor<2xf32>", "dims [1]"), np.full(2, np.nan))


# Shape ---------------------------------------------------------------------


def test_broadcast():
    x = floats(3)
    check(apply("broadcast", [x], "tensor<2x3x4xf32>", "dims [1]"),
          np.broadcast_to(x[None, :, None], (2, 3, 4)))
    x = floats(1, 4)
    check(apply("broadcast", [x], "tensor<3x2x4xf32>", "dims [0, 2]"),
          np.broadcast_to(x[:, None, :], (3, 2, 4)))
    x = np.array(5, np.int64)
    check(apply("broadcast", [x], "tensor<2x2xi64>", "dims []"), np.full((2, 2), 5))


def test_reshape():
    x = floats(2, 3, 4)
    check(apply("reshape", [x], "tensor<6x1x4xf32>"), x.reshape(6, 1, 4))


@pytest.mark.parametrize("permutation", [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]])
def test_transpose(permutation):
    x = floats(2, 3, 4)
    expected = x.transpose(permutation)
    check(apply("transpose", [x], tensor_type(expected), str(permutation)), expected)


def test_slice():
    x = floats(5, 6)
    check(apply("slice", [x], "tensor<2x3xf32>", "[3, 1]"), x[3:5, 1:4])


@pytest.mark.parametrize("start, clamped", [([1, 2], [1, 2]), ([-4, 1], [0, 1]), ([9, 9], [3, 3])])
def test_dynamic_slice_clamps(start, clamped):
    x, i = floats(5, 6), np.array(start, np.int32)
    a, b = clamped
    check(apply("dynamic_slice", [x, i], "tensor<2x3xf32>"), x[a:a + 2, b:b + 3])


@pytest.mark.parametrize("start, clamped", [([1, 2], [1, 2]), ([-4, 1], [0, 1]), ([9, 9], [3, 3])])
def test_update_slice_clamps(start, clamped):
    x, u, i = floats(5, 6), floats(2, 3), np.array(start, np.int64)
    a, b = clamped
    expected = x.copy()
    expected[a:a + 2, b:b + 3] = u
    check(apply("update_slice", [x, u, i], "tensor<5x6xf32>"), expected)


def test_update_slice_with_a_start_per_row():
    x, u = floats(3, 5, 4), floats(3, 2, 4)
    start = np.array([[1, 0], [-4, 3], [9, 0]], np.int64)
    expected = x.copy()
    for row, at in enumerate([1, 0, 3]):
        expected[row, at:at + 2] = u[row]
    check(apply("update_slice", [x, u, start], "tensor<3x5x4xf32>"), expected)


def test_pad():
    x = floats(2, 3)
    check(apply("pad", [x], "tensor<4x5xf32>", "low [1, 0] with -1.5"),
          np.pad(x, [(1, 1), (0, 2)], constant_values=-1.5))


@pytest.mark.parametrize("dim", [0, 1])
def test_concat(dim):
    x = floats(2, 3)
    y = floats(4, 3) if dim == 0 else floats(2, 4)
    expected = np.concatenate([x, y, x], axis=dim)
    check(apply("concat", [x, y, x], tensor_type(expected), f"dim {dim}"), expected)


# Indexing ------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_gather(dim):
    x = floats(4, 5, 6)
    i = integers(0, x.shape[dim], 2, 3)
    expected = np.take(x, i, axis=dim)
    check(apply("gather", [x, i], tensor_type(expected), f"dim {dim}"), expected)


def test_gather_out_of_range_gives_zeros():
    x, i = floats(4, 3), np.array([-1, 0, 3, 4, 2**31 - 1, -(2**31)], np.int32)
    expected = np.zeros((6, 3), np.float32)
    expected[1], expected[2] = x[0], x[3]
    check(apply("gather", [x, i], "tensor<6x3xf32>", "dim 0"), expected)


def test_gather_by_scalar():
    x, i = floats(4, 3), np.array(2, np.int64)
    check(apply("gather", [x, i], "tensor<3xf32>", "dim 0"), x[2])


@pytest.mark.parametrize("dim", [0, 1])
def test_scatter_add(dim):
    x = floats(4, 5)
    i = np.array([[0, 2], [2, 9], [-1, 2]], np.int32)
    u = floats(3, 2, 5) if dim == 0 else floats(4, 3, 2)
    expected = x.astype(np.float64)
    for a, b in np.ndindex(3, 2):
        index = i[a, b]
        if 0 <= index < x.shape[dim]:
            if dim == 0:
                expected[index] += u[a, b]
            else:
                expected[:, index] += u[:, a, b]
    check(apply("scatter_add", [x, i, u], tensor_type(x), f"dim {dim}"), expected.astype(np.float32), 1e-7)


@pytest.mark.parametrize("descending", [False, True])
def test_sort(descending):
    x = integers(0, 4, 3, 20).astype(np.float32)
    x[1, 3] = x[1, 7] = np.nan
    x[2, 0] = -np.inf
    key = -x if descending else x
    order = np.argsort(key, axis=1, kind="stable")  # NaN last
    values, positions = apply(f"sort", [x], "(tensor<3x20xf32>, tensor<3x20xi32>)",
                              "descending" if descending else "")
    check(values, np.take_along_axis(x, order, 1))
    check(positions, order)


def test_top_k():
    x = integers(0, 6, 4, 10)
    order = np.argsort(-x, axis=1, kind="stable")[:, :3]
    values, positions = apply("top_k", [x], "(tensor<4x3xi32>, tensor<4x3xi64>)")
    check(values, np.take_along_axis(x, order, 1))
    check(positions, order)


# Symbols -------------------------------------------------------------------


def test_parameter_and_state():
    w, x = floats(3), floats(3)
    symbols = "tpc.parameter @w : tensor<3xf32>\ntpc.state @s : tensor<3xf32>"
    body = """
  %w = tpc.read @w : tensor<3xf32>
  %before = tpc.read @s : tensor<3xf32>
  %new = tpc.add %0, %w : (tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
  tpc.write @s, %new : tensor<3xf32>
  %after = tpc.read @s : tensor<3xf32>
  %y = tpc.concat %before, %after dim 0 : (tensor<3xf32>, tensor<3xf32>) -> tensor<6xf32>"""
    check(evaluate(body, [x], symbols=symbols, values={"w": w}),
          np.concatenate([np.zeros(3, np.float32), x + w]))


@pytest.mark.parametrize("dtype", ["bf16", np.float16, np.float64, np.int64, bool])
def test_npy_round_trip(dtype):
    x = to_bf16(rng.standard_normal(9)) if dtype == "bf16" else (10 * rng.standard_normal(9)).astype(dtype)
    check(apply("reshape", [x], tensor_type(x.reshape(3, 3))), x.reshape(3, 3))
