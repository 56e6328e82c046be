"""What tpc and XLA send for the same gradient. Nothing is timed.

    scripts/bench --sent [--layers 1,2,4] [--tp 2,4,8]

The gradient of a sum of squares over layers in the style of Llama
(peers/stack.py). XLA gets weights split as Megatron splits them, an input that
is whole on every device and gradients split like weights, and its partitioner
(GSPMD, Shardy) decides the rest; what it sends is read from the compiled
program. Ours is the partitioned program of mode megatron, of mode auto with the
same weights pinned, and of mode auto, all for an H100. A cell: collectives (a
collective of several buffers counts once for each, scalars not at all) and MiB
that a device sends in them on a ring.
"""

import argparse
import json
import re
import subprocess
import sys

from engines import PEERS, ROOT
sys.path.insert(0, str(PEERS))
from stack import BATCH, LENGTH, HIDDEN, HEADS, GROUP, HEAD, FEED, parameters

TPC_OPT = ROOT / "build/release/bin/tpc-opt"
BYTES = {"bf16": 2, "f16": 2, "f32": 4, "i64": 8, "s32": 4, "i32": 4, "pred": 1, "i1": 1}


def sent(kind, type_, elements, members):
    """Bytes of one buffer, whose result has so many elements on one device."""
    size = elements * BYTES[type_] * (members - 1) / members
    return {"all_reduce": 2 * size, "reduce_scatter": size * members,
            "permute": elements * BYTES[type_]}.get(kind, size)


def summary(collectives):
    real = [c for c in collectives if c[2] > 1]
    return f"{len(real)}, {sum(sent(*c) for c in real) / 2**20:.1f}"


def xla(layers, tp, partitioner):
    result = subprocess.run([sys.executable, PEERS / "jax_bytes.py", str(layers), str(tp), partitioner],
                            capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"bench: JAX ({partitioner}) failed: {result.stderr[-500:]}")
    return json.loads(result.stdout)


class Module:
    """The same stack in the tpc dialect."""

    def __init__(self, layers, tp, pinned):
        self.symbols, self.body, self.types = [], [], {}
        self.pinned = pinned
        x = (BATCH, LENGTH, HIDDEN)
        self.types["x"] = self.type(x)
        value = "x"
        for i in range(layers):
            value = self.layer(f"l{i}", value, x)
        self.op("wide", "convert %" + value, x, "f32")
        self.op("square", "mul %wide, %wide", x, "f32")
        self.op("loss", "reduce sum %square dims [0, 1, 2]", (), "f32")
        self.text = "\n".join([
            f'tpc.mesh @mesh <"tp" = {tp}>', *self.symbols,
            f'func.func @main(%x: {self.types["x"]} {{tpc.sharding = #tpc.sharding<@mesh, [{{}}, {{}}, {{}}]>}})'
            ' -> (tensor<f32> {tpc.name = "loss"}) {', *self.body, "return %loss : tensor<f32>", "}"])

    @staticmethod
    def type(shape, element="bf16"):
        return "tensor<" + "".join(f"{n}x" for n in shape) + element + ">"

    def op(self, name, text, shape, element="bf16"):
        operands = [self.types[o] for o in re.findall(r"%(\w+)", text)]
        self.types[name] = self.type(shape, element)
        self.body.append(f"%{name} = tpc.{text} : ({', '.join(operands)}) -> {self.types[name]}")

    def layer(self, p, x, shape):
        for name, (size, dim) in parameters().items():
            full, type_ = f"{p}{name}", self.type(size)
            dims = ", ".join('{"tp"}' if i == dim else "{}" for i in range(len(size)))
            pin = f" {{tpc.sharding = #tpc.sharding<@mesh, [{dims}]>}}" if self.pinned else ""
            self.symbols.append(f"tpc.parameter @{full} : {type_}{pin}")
            self.body.append(f"%{full} = tpc.read @{full} : {type_}")
            self.types[full] = type_
        b, s, _ = shape
        self.op(p + "n", f"rms_norm %{x}, %{p}g epsilon 1.0e-5", shape)
        self.op(p + "qs", f'matmul %{p}n, %{p}q "b s e, e h g d -> b s h g d"', (b, s, HEADS, GROUP, HEAD))
        for name in "kv":
            self.op(p + name + "s", f'matmul %{p}n, %{p}{name} "b s e, e h d -> b s h d"', (b, s, HEADS, HEAD))
        self.op(p + "c", f"attention %{p}qs, %{p}ks, %{p}vs scale {HEAD ** -0.5} causal", (b, s, HEADS, GROUP, HEAD))
        self.op(p + "os", f'matmul %{p}c, %{p}o "b s h g d, h g d e -> b s e"', shape)
        self.op(p + "r", f"add %{x}, %{p}os", shape)
        self.op(p + "m", f"rms_norm %{p}r, %{p}h epsilon 1.0e-5", shape)
        for name in ("gate", "up"):
            self.op(p + name + "s", f'matmul %{p}m, %{p}{name} "b s e, e f -> b s f"', (b, s, FEED))
        self.op(p + "a", f"silu %{p}gates", (b, s, FEED))
        self.op(p + "t", f"mul %{p}a, %{p}ups", (b, s, FEED))
        self.op(p + "ds", f'matmul %{p}t, %{p}down "b s f, f e -> b s e"', shape)
        self.op(p + "y", f"add %{p}r, %{p}ds", shape)
        return p + "y"


def tpc(layers, tp, mode, pinned):
    result = subprocess.run(
        [TPC_OPT, "-", "--tpc-differentiate=output=loss", f"--tpc-phase-assign=mode={mode} machine=h100",
         "--tpc-phase-partition", "--tpc-phase-verify"],
        input=Module(layers, tp, pinned).text, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"bench: tpc-opt ({mode}) failed: {result.stderr[:500]}")
    found = []
    kinds = r"spmd\.(all_reduce|all_gather|reduce_scatter|all_to_all|permute)\b"
    for line in result.stdout.splitlines():
        match = re.search(kinds + r".* -> tensor<((?:\d+x)*)(\w+)", line)
        if match:
            elements = 1
            for n in match[2].split("x")[:-1]:
                elements *= int(n)
            found.append((match[1], match[3], elements, tp))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", default="1,2,4")
    parser.add_argument("--tp", default="2,4,8")
    arguments = parser.parse_args()
    print("| layers | tp | XLA, GSPMD | XLA, Shardy | tpc megatron | tpc auto, same weights | tpc auto |")
    print("|" + "---|" * 7)
    for layers in map(int, arguments.layers.split(",")):
        for tp in map(int, arguments.tp.split(",")):
            cells = [xla(layers, tp, "gspmd"), xla(layers, tp, "shardy"),
                     tpc(layers, tp, "megatron", False),
                     tpc(layers, tp, "auto", True), tpc(layers, tp, "auto", False)]
            print(f"| {layers} | {tp} | " + " | ".join(map(summary, cells)) + " |", flush=True)


if __name__ == "__main__":
    main()
