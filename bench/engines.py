"""Processes that run models on request, for measurements that interleave."""

import json
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
PEERS = ROOT / "bench/peers"


class Worker:
    """A process that speaks the protocol of peers/worker.py."""

    def __init__(self, *command):
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, cwd=PEERS)
        self.ready = None

    def wait_ready(self):
        while not self.ready:
            line = self.process.stdout.readline()
            if not line:
                raise SystemExit(f"bench: {self.process.args} ended before it was ready")
            if line.startswith('{"ready"'):
                self.ready = json.loads(line)
        return self

    def run(self, case, reps):
        self.process.stdin.write(json.dumps({"case": case, "reps": reps}) + "\n")
        self.process.stdin.flush()
        return statistics.median(json.loads(self.process.stdout.readline())["ms"])

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def tpc_worker(kind, folder, dtype, sizes, mesh, label="tpc"):
    return Worker(sys.executable, PEERS / "tpc_worker.py", kind, folder, dtype, ",".join(map(str, sizes)), mesh, label)
