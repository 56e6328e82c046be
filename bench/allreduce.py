"""All-reduce between devices of one machine: tpc's devices in one process, in
processes that share memory, and in processes over the network (Gloo's TCP
beneath); beside them JAX's psum inside a program, torch's Gloo and MPI_Allreduce
between processes. Microseconds each, the least of a round, as the median over
interleaved rounds; in brackets the ratio of tpc's processes to it.

    scripts/bench --allreduce [--rounds 5] [--devices 2,4,8]
"""

import argparse
import shutil
import statistics
import subprocess
import sys

from engines import PEERS, ROOT, Worker

BIN = ROOT / "build/release/bin"


def mpi_worker(devices):
    """Null where there is no MPI to compile with (package libopenmpi-dev)."""
    if not shutil.which("mpicxx"):
        return None
    program = ROOT / "build/mpi-allreduce"
    subprocess.run(["mpicxx", "-O2", PEERS / "mpi_allreduce.cpp", "-o", program],
                   check=True)
    return Worker("mpirun", "--allow-run-as-root", "--oversubscribe", "-n",
                  devices, program)


def start(devices):
    launched = [BIN / "tpc-launch", "-n", devices, BIN / "allreduce-bench"]
    return {"threads": Worker(BIN / "allreduce-bench"),
            "processes": Worker(*launched),
            "network": Worker(*launched, "network"),
            "jax": Worker(sys.executable, PEERS / "jax_allreduce.py", devices),
            "gloo": Worker(sys.executable, PEERS / "gloo_allreduce.py", devices),
            "mpi": mpi_worker(devices)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--devices", default="2,4,8")
    options = parser.parse_args()
    for devices in map(int, options.devices.split(",")):
        workers = {name: worker for name, worker in start(devices).items()
                   if worker}
        if "mpi" not in workers:
            print("MPI is left out: there is no mpicxx")
        for worker in workers.values():
            worker.wait_ready()
        for size in (1 << 10, 1 << 16, 1 << 20, 1 << 24, 1 << 26):
            times = {name: [] for name in workers}
            names = list(workers)
            for r in range(options.rounds):
                turn = r % len(names)
                for name in names[turn:] + names[:turn]:
                    times[name].append(
                        1e3 * workers[name].run(f"{devices} {size}", 1))
            median = {name: statistics.median(times[name]) for name in names}
            ratio = {name: statistics.median(
                a / b for a, b in zip(times["processes"], times[name]))
                for name in names}
            print(f"{devices} devices, {size:8} bytes, us: " + ", ".join(
                f"{name} {median[name]:.1f} ({ratio[name]:.2f})"
                for name in names), flush=True)
        for worker in workers.values():
            worker.close()


if __name__ == "__main__":
    main()
