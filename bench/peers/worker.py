"""What every engine's process has in common.

A worker prints {"ready": {...}} when its model is loaded and every case has
run once, then answers lines {"case": NAME, "reps": N} with {"ms": [...]}. With
BENCH_CASE in its environment it runs that case once and ends.
"""

import json
import os
import sys
import time


def serve(about, cases):
    """`cases`: name -> function that runs the case once and returns its output
    as a flat list of numbers (compared between engines)."""
    if "BENCH_CASE" in os.environ:
        cases[os.environ["BENCH_CASE"]]()
        print(json.dumps({"first": True}), flush=True)
        return
    first = {name: [float(x) for x in run()] for name, run in cases.items()}
    print(json.dumps({"ready": about, "outputs": first}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        run = cases[request["case"]]
        times = []
        for _ in range(request["reps"]):
            start = time.perf_counter()
            run()
            times.append((time.perf_counter() - start) * 1e3)
        print(json.dumps({"ms": times}), flush=True)
