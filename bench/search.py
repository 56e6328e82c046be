"""What the search for a sharding takes, and what it finds.

    build/venv/bin/python bench/search.py [--machine h100] [--repeat 3]

For each model and mesh: seconds of the assign phase (median of runs), gap to
the proven bound, size of the problem before and after reductions, predicted
time of each entry under `auto` and under `megatron`, and collectives per
entry. Configurations alone, no weights; types as stored.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOL = ROOT / "build/release/bin/tpc-run"
CONFIGS = ROOT / "examples/configs"
MODELS = {
    "MLP": (ROOT / "examples/mlp.mlir", []),
    "BERT-base": (CONFIGS / "bert-base", ["--length", "512"]),
    "Llama-3-8B": (CONFIGS / "Llama-3-8B", ["--length", "2048", "--context", "4096"]),
    "Llama-3-70B": (CONFIGS / "Llama-3-70B", ["--length", "2048", "--context", "4096"]),
    "Llama-3.1-405B": (CONFIGS / "Llama-3.1-405B",
                       ["--length", "2048", "--context", "4096"]),
}
MESHES = ["tp=8", "tp=16", "dp=4,tp=8"]


def report(model, options, mesh, mode, machine):
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run([TOOL, model, *map(str, options), "--mesh", mesh, "--mode", mode,
                        "--machine", machine, "--dry-run", "--quiet",
                        "--memory-limit", "100000GiB",
                        "--report", file.name], check=True)
        return json.load(open(file.name))


def milliseconds(result):
    return " + ".join(
        f"{(e['compute_us'] + e['communication_us']) / 1e3:.3g}"
        for e in result["predicted"].values())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machine", default="h100")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--entry", help="one entry of decoders alone; step: "
                        "forward and backward")
    parser.add_argument("--batch", type=int, default=1)
    arguments = parser.parse_args()
    print("| model | mesh | search, s | gap | nodes | strategies | after: nodes "
          "| strategies | auto, ms per entry | megatron | collectives |")
    print("|" + "---|" * 11)
    for name, (model, options) in MODELS.items():
        if name.startswith("Llama"):
            options = [*options, "--batch", arguments.batch]
            if arguments.entry:
                options += ["--entry", arguments.entry]
        for mesh in MESHES:
            runs = [report(model, options, mesh, "auto", arguments.machine)
                    for _ in range(arguments.repeat)]
            megatron = report(model, options, mesh, "megatron", arguments.machine)
            search = runs[0]["search"]
            seconds = statistics.median(r["search"]["seconds"] for r in runs)
            kinds = {}
            for c in runs[0]["collectives"]:
                kinds[c["kind"]] = kinds.get(c["kind"], 0) + c["count"]
            print(f"| {name} | {mesh} | {seconds:.2f} | {search['gap']:.2%} "
                  f"| {search['nodes']} | {search['strategies']} "
                  f"| {search['reduced_nodes']} | {search['reduced_strategies']} "
                  f"| {milliseconds(runs[0])} | {milliseconds(megatron)} | "
                  + ", ".join(f"{n} {k}" for k, n in kinds.items()) + " |",
                  flush=True)


if __name__ == "__main__":
    main()
