"""Figures of one GPU: products, attention and a decoder step by tpc.

    python bench/cuda.py [--bin build/release/bin] [--repeat 50]

Each case is a small module that tpc-run compiles for the device cuda and runs
with --profile, which measures every step by events. Prints what the step
reached: TFLOP/s for products, GB/s where an operand is read once. Where there
is no GPU it says so.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]

# m, n, k of layers of an 8-billion-parameter decoder: prompts and single rows.
PRODUCTS = [(m, n, k) for m in (1, 16, 512, 4096)
            for n, k in ((6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336))]
# batch, queries, keys, kv heads, group, dimension
ATTENTIONS = [(1, 4096, 4096, 8, 4, 128), (1, 1, 8192, 8, 4, 128), (32, 1, 2048, 8, 4, 128)]


def product(m, n, k, kind):
    a, b, c = f"{m}x{k}x{kind}", f"{k}x{n}x{kind}", f"{m}x{n}x{kind}"
    module = f"""
func.func @main(%a: tensor<{a}>, %b: tensor<{b}>) -> tensor<{c}> {{
  %c = tpc.matmul %a, %b "m k, k n -> m n" : (tensor<{a}>, tensor<{b}>) -> tensor<{c}>
  return %c : tensor<{c}>
}}"""
    return module, {"arg0": f"{a}=0.5", "arg1": f"{b}=0.5"}


def attention(b, s, t, k, g, d, kind):
    q, kv = f"{b}x{s}x{k}x{g}x{d}x{kind}", f"{b}x{t}x{k}x{d}x{kind}"
    causal = " causal" if s == t else ""
    module = f"""
func.func @main(%q: tensor<{q}>, %k: tensor<{kv}>, %v: tensor<{kv}>) -> tensor<{q}> {{
  %r = tpc.attention %q, %k, %v scale 0.1{causal} : (tensor<{q}>, tensor<{kv}>, tensor<{kv}>) -> tensor<{q}>
  return %r : tensor<{q}>
}}"""
    return module, {"arg0": f"{q}=0.5", "arg1": f"{kv}=0.5", "arg2": f"{kv}=0.5"}


def microseconds(command, module, inputs, kind):
    """Of the one step of this kind, and what computes it."""
    with tempfile.NamedTemporaryFile("w", suffix=".mlir") as file:
        file.write(module)
        file.flush()
        command = [*command, file.name]
        for name, value in inputs.items():
            command += ["--input", f"{name}={value}"]
        result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        if re.search(r"libcuda|finds no NVIDIA GPU|does not run", result.stderr):
            sys.exit(f"no GPU: left out ({result.stderr.strip()})")
        sys.exit(result.stderr)
    for line in result.stdout.splitlines():
        found = re.match(rf"\s*([\d.]+) us .*\b{kind}\b (.*)", line)
        if found:
            return float(found[1]), found[2]
    sys.exit(f"no step '{kind}' in\n{result.stdout}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bin", default=str(ROOT / "build/release/bin"))
    parser.add_argument("--repeat", type=int, default=50)
    parser.add_argument("--device", default="cuda", help="cpu: to compare with")
    arguments = parser.parse_args()
    command = [f"{arguments.bin}/tpc-run", "--device", arguments.device, "--quiet", "--profile",
               "--repeat", str(arguments.repeat)]
    for m, n, k in PRODUCTS:
        micros, by = microseconds(command, *product(m, n, k, "bf16"), "matmul")
        print(f"matmul {m}x{n}x{k}: {micros:.1f} us, {2e-6 * m * n * k / micros:.1f} TFLOP/s, "
              f"{2e-3 * (m * k + k * n + m * n) / micros:.0f} GB/s, {by}")
    for b, s, t, k, g, d in ATTENTIONS:
        micros, by = microseconds(command, *attention(b, s, t, k, g, d, "bf16"), "attention")
        flops = 4 * b * s * t * k * g * d * (0.5 if s == t else 1)
        print(f"attention {b}x{s}x{t} {k}x{g}x{d}: {micros:.1f} us, {1e-6 * flops / micros:.1f} TFLOP/s, "
              f"{4e-3 * b * t * k * d / micros:.0f} GB/s of keys and values, {by}")


if __name__ == "__main__":
    main()
