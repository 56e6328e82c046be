"""From a directory to the first token: fresh processes of tpc, torch and JAX.

    scripts/bench --first-token [--model medium] [--length 128] [--rounds 3]

Each process starts Python, reads the weights, compiles what it compiles, runs a
prompt and ends. Rounds interleave the engines; the medians of the seconds to
the first token and of the peak of resident memory are printed, and tpc's share
of the others'.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from engines import PEERS, ROOT
sys.path.insert(0, str(PEERS))
import workloads

THREADS = str(len(os.sched_getaffinity(0)))


def commands(folder, dtype, length):
    """Command and environment by engine."""
    worker = lambda name, *rest: [sys.executable, PEERS / f"{name}_worker.py", "decoder", folder, dtype, length, *rest]
    case = lambda engine: {"BENCH_CASE": f"{engine}/prefill {length}"}
    return {
        "tpc": ([sys.executable, PEERS / "tpc_first.py", folder, dtype, length],
                {"PYTHONPATH": str(ROOT / "build/release/python")}),
        "eager": (worker("torch", THREADS), case("eager")),
        "compile": (worker("torch", THREADS), case("compile")),
        "jax": (worker("jax", "1"), case("jax")),
    }


def measure(command, environment):
    """Seconds to the first token, and the peak of resident memory in MiB."""
    start = time.perf_counter()
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True, cwd=PEERS,
                               env={**os.environ, **environment})
    seconds = None
    for line in process.stdout:
        if line.startswith('{"first"'):
            seconds = time.perf_counter() - start
    _, status, usage = os.wait4(process.pid, 0)
    if status or seconds is None:
        raise SystemExit(f"bench: {command} failed")
    return seconds, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="medium", choices=workloads.DECODERS)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--models", default=str(ROOT / "build/bench-models"))
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = []
    for dtype in ("f32", "bf16"):
        folder = workloads.decoder_directory(options.models, options.model, dtype)
        runs = commands(folder, dtype, options.length)
        found = {engine: [] for engine in runs}
        for _ in range(options.rounds):
            for engine, (command, environment) in runs.items():
                found[engine].append(measure(command, environment))
        ours = [statistics.median(values) for values in zip(*found["tpc"])]
        for engine, values in found.items():
            seconds, memory = (statistics.median(v) for v in zip(*values))
            print(f"{options.model} {dtype:5} {engine:8} {seconds:7.2f} s to the first token "
                  f"(tpc {ours[0] / seconds:.2f} of it), peak {memory:7.0f} MiB (tpc {ours[1] / memory:.2f} of it)",
                  flush=True)
        rows.append({"dtype": dtype, "runs": found})
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file)


if __name__ == "__main__":
    main()
