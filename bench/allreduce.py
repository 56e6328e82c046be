"""All-reduce between devices of one machine: tpc, JAX's psum inside a program,
Gloo between processes. Microseconds each, the least of a round; the ratio is
the median over interleaved rounds of tpc / theirs, below 1 tpc is faster.

    scripts/bench --allreduce [--rounds 5]
"""

import argparse
import statistics
import sys

from engines import PEERS, ROOT, Worker


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for devices in (2, 4, 8):
        workers = {"tpc": Worker(ROOT / "build/release/bin/allreduce-bench"),
                   "jax": Worker(sys.executable, PEERS / "jax_allreduce.py", devices),
                   "gloo": Worker(sys.executable, PEERS / "gloo_allreduce.py", devices)}
        for worker in workers.values():
            worker.wait_ready()
        for size in (1 << 10, 1 << 16, 1 << 20):
            times = {name: [] for name in workers}
            for r in range(options.rounds):
                names = list(workers)
                for name in names[r % 3:] + names[:r % 3]:
                    times[name].append(1e3 * workers[name].run(f"{devices} {size}", 1))
            ratio = lambda name: statistics.median(a / b for a, b in zip(times["tpc"], times[name]))
            print(f"{devices} devices, {size:8} bytes: tpc {statistics.median(times['tpc']):8.1f} us, "
                  + ", ".join(f"{name} {statistics.median(times[name]):8.1f} us ({ratio(name):.2f})"
                              for name in ("jax", "gloo")), flush=True)
        for worker in workers.values():
            worker.close()


if __name__ == "__main__":
    main()
