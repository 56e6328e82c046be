"""tpc.  tpc_worker.py decoder|encoder FOLDER DTYPE LENGTHS|BATCHES MESH [LABEL]

Compiles with tpc-run and runs the artifact through the runtime's C interface.
"""

import ctypes
import json
import pathlib
import subprocess
import sys
import tempfile

import ml_dtypes
import numpy as np

import workloads
from worker import serve

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"
TYPES = [np.float32, np.float64, ml_dtypes.bfloat16, np.float16, np.int32, np.int64, np.bool_]

kind, folder, dtype, sizes, mesh = sys.argv[1:6]
label = sys.argv[6] if len(sys.argv) > 6 else "tpc"
folder = pathlib.Path(folder)
sizes = [int(s) for s in sizes.split(",")]


class Port(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("type", ctypes.c_int), ("rank", ctypes.c_size_t),
                ("shape", ctypes.POINTER(ctypes.c_uint64)), ("bytes", ctypes.c_uint64)]


lib = ctypes.CDLL(BUILD / "lib/libtpcrt.so")
for name, result, arguments in (
        ("last_error", ctypes.c_char_p, []),
        ("load_file", ctypes.c_void_p, [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_uint]),
        ("port_count", ctypes.c_size_t, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
        ("get_port", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t,
                                    ctypes.POINTER(Port)]),
        ("run", ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.c_void_p),
                               ctypes.c_size_t, ctypes.POINTER(ctypes.c_void_p), ctypes.c_size_t])):
    function = getattr(lib, "tpcrt_" + name)
    function.restype, function.argtypes = result, arguments


def pointers(arrays):
    return (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))


class Executable:
    def __init__(self, options):
        with tempfile.TemporaryDirectory() as temporary:
            artifact = f"{temporary}/model.tpcx"
            subprocess.run([BUILD / "bin/tpc-run", folder, "--mesh", mesh, "--element", dtype, "--quiet",
                            "--dry-run", "--save", artifact, *options], check=True)
            self.handle = lib.tpcrt_load_file(artifact.encode(), str(folder).encode(), 0)
        if not self.handle:
            raise RuntimeError(lib.tpcrt_last_error().decode())

    def arrays(self, program, kind):
        result = {}
        for i in range(lib.tpcrt_port_count(self.handle, program.encode(), kind)):
            port = Port()
            lib.tpcrt_get_port(self.handle, program.encode(), kind, i, ctypes.byref(port))
            result[port.name.decode()] = np.zeros(port.shape[:port.rank], TYPES[port.type])
        return result

    def case(self, program, output, **values):
        """Runs `program`; gives the first 64 numbers of `output`'s first row."""
        inputs, outputs = self.arrays(program, 0), self.arrays(program, 1)
        for name, array in inputs.items():
            array[...] = values[name]
        given, taken = pointers(list(inputs.values())), pointers(list(outputs.values()))

        def run():
            if lib.tpcrt_run(self.handle, program.encode(), given, len(inputs), taken, len(outputs)):
                raise RuntimeError(lib.tpcrt_last_error().decode())
            array = outputs[output]
            return array.reshape(-1, array.shape[-1])[0, :64].astype(np.float32).tolist()

        run.inputs = inputs  # keeps what the pointers point to
        return run


def decoder_cases():
    vocab = json.loads((folder / "config.json").read_text())["vocab_size"]
    cases = {}
    for length in sizes:
        executable = Executable(["--length", str(length), "--batch", "1",
                                 "--context", str(length + workloads.ROOM)])
        cases[f"{label}/prefill {length}"] = executable.case(
            "prefill", "logits", input_ids=workloads.prompt(vocab, 1, length), lengths=length)
        cases[f"{label}/decode {length}"] = executable.case(
            "decode", "logits", input_ids=7, positions=length)
    return cases


def encoder_cases():
    cases = {}
    for batch in sizes:
        tokens = workloads.prompt(30000, batch, 128)
        executable = Executable(["--input", f"input_ids={batch}x128xi64=0"])
        cases[f"{label}/batch {batch}"] = executable.case("main", "last_hidden_state", input_ids=tokens)
    return cases


serve({"tpc": mesh}, decoder_cases() if kind == "decoder" else encoder_cases())
