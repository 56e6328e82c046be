"""Runs the project's tools on models."""

import json
import os
import pathlib
import subprocess

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("TPC_BIN", ROOT / "build/release/bin"))
# What models run on: "cpu" or, where there is a GPU, "cuda" (scripts/test --gpu).
DEVICE = os.environ.get("TPC_TEST_DEVICE", "cpu")


def tool(name, *arguments, check=True):
    result = subprocess.run([str(BIN / name), *map(str, arguments)],
                            capture_output=True, text=True, timeout=300)
    if check:
        assert result.returncode == 0, result.stderr
    return result


def run_model(model, mesh, inputs, outputs, folder, *options, processes=1):
    """Outputs by name as arrays, and the report. What is run here has to be
    right, not optimal: the search is short."""
    arguments = ["--mesh", mesh, "--report", folder / "report.json",
                 "--search-time", 1, "--device", DEVICE, *options]
    for name, array in inputs.items():
        np.save(folder / f"{name}.npy", array)
        arguments += ["--input", f"{name}=@{folder}/{name}.npy"]
    for name in outputs:
        arguments += ["--output", f"{name}=@{folder}/{name}.out.npy"]
    command = ["tpc-run", model, *arguments]
    if processes > 1:
        command = ["tpc-launch", "-n", processes, "--", BIN / "tpc-run",
                   *command[1:]]
    tool(*command)
    return ({name: np.load(folder / f"{name}.out.npy") for name in outputs},
            json.loads((folder / "report.json").read_text()))


def read_safetensors(path):
    """Arrays by name from a safetensors file with F32 and I64 tensors."""
    data = pathlib.Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    types = {"F32": np.float32, "I64": np.int64}
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        arrays[name] = np.frombuffer(
            data[8 + size + begin:8 + size + end],
            types[entry["dtype"]]).reshape(entry["shape"])
    return arrays


def write_safetensors(path, arrays):
    """A safetensors file of f32, f64, i64 and u8 arrays."""
    types = {"float32": "F32", "float64": "F64", "int64": "I64", "uint8": "U8"}
    header, offset = {}, 0
    for name, array in arrays.items():
        header[name] = {"dtype": types[str(array.dtype)],
                        "shape": list(array.shape),
                        "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    data = b"".join(array.tobytes() for array in arrays.values())
    pathlib.Path(path).write_bytes(
        len(text).to_bytes(8, "little") + text + data)
