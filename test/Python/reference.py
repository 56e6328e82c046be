"""Runs one-function programs through tpc-eval.

    y = evaluate('%y = tpc.neg %0 : (tensor<2xf32>) -> tensor<2xf32>', [x])

Arguments are called %0, %1, ...; the body defines %y (or %y:2 and so on).
bf16 tensors are float32 arrays of type BF16 whose values bf16 can represent.
"""

import os
import subprocess
import tempfile

import numpy as np

TYPES = {
    np.dtype(np.float32): "f32",
    np.dtype(np.float64): "f64",
    np.dtype(np.float16): "f16",
    np.dtype(np.int32): "i32",
    np.dtype(np.int64): "i64",
    np.dtype(np.bool_): "i1",
}


class BF16(np.ndarray):
    """A float32 array that stands for a bf16 tensor."""


def to_bf16(values):
    """Rounds to nearest even, from double precision."""
    values = np.asarray(values, dtype=np.float64)
    with np.errstate(all="ignore"):
        mantissa, exponent = np.frexp(values)
        quantum = np.maximum(exponent, -125) - 8
        rounded = np.ldexp(np.rint(np.ldexp(values, -quantum)), quantum)
    rounded = np.where(np.isfinite(values), rounded, values)
    rounded = np.where(np.abs(rounded) > float.fromhex("0x1.FEp127"),
                       np.copysign(np.inf, rounded), rounded)
    return rounded.astype(np.float32).view(BF16)


def tensor_type(array):
    element = "bf16" if isinstance(array, BF16) else TYPES[array.dtype]
    return "tensor<" + "".join(f"{n}x" for n in array.shape) + element + ">"


def save(path, array):
    if isinstance(array, BF16):
        array = (np.ascontiguousarray(array).view(np.uint32) >> 16).astype(np.uint16).view(np.ndarray)
    np.save(path, array)


def load(path):
    array = np.load(path)
    if array.dtype == np.dtype("V2"):
        bits = array.view(np.uint16).astype(np.uint32) << 16
        return bits.view(np.float32).view(BF16)
    return array


def evaluate(body, inputs=(), results=None, symbols="", values={}):
    """The results of `body`, as many as %y has types in `results` (default: the
    types after the last `->`). `symbols` are operations of the module, `values`
    their values."""
    if results is None:
        results = body.rsplit("->", 1)[1].strip()
    types = results.strip("()").split(", ")
    names = [f"%y#{i}" for i in range(len(types))] if len(types) > 1 else ["%y"]
    arguments = ", ".join(f"%{i}: {tensor_type(x)}" for i, x in enumerate(inputs))
    program = (
        f"{symbols}\nfunc.func @main({arguments}) -> ({', '.join(types)}) {{\n  {body}\n"
        f"  return {', '.join(names)} : {', '.join(types)}\n}}\n")
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        with open(path("main.mlir"), "w") as file:
            file.write(program)
        command = [os.environ["TPC_EVAL"], path("main.mlir"),
                   "--parameters", folder, "--output-dir", path("out")]
        for i, x in enumerate(inputs):
            save(path(f"{i}.npy"), x)
            command += ["--input", path(f"{i}.npy")]
        for name, value in values.items():
            save(path(f"{name}.npy"), value)
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, program + done.stderr
        outputs = [load(path(f"out/result{i}.npy")) for i in range(len(types))]
    for output, expected in zip(outputs, types):
        assert tensor_type(output) == expected
    return outputs[0] if len(outputs) == 1 else outputs


def check(found, expected, tolerance=0.0):
    """Equal, NaN included, or within `tolerance` relative and absolute."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    if tolerance == 0:
        np.testing.assert_array_equal(found, expected.astype(found.dtype))
    else:
        np.testing.assert_allclose(found.astype(np.float64), expected.astype(np.float64),
                                   rtol=tolerance, atol=tolerance)
