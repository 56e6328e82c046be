"""Gloo's all_reduce between processes.  gloo_allreduce.py DEVICES"""

import json
import os
import sys
import time

import torch
import torch.distributed as distributed
import torch.multiprocessing as multiprocessing


def member(rank, count, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", rank=rank, world_size=count)
    stdin = os.fdopen(int(os.environ["BENCH_STDIN"])) if rank == 0 else None
    if rank == 0:
        print(json.dumps({"ready": {"torch": torch.__version__}, "outputs": {}}), flush=True)
    while True:
        request = [stdin.readline() if rank == 0 else None]
        distributed.broadcast_object_list(request, 0)
        if not request[0]:
            break
        x = torch.ones(int(json.loads(request[0])["case"].split()[1]) // 4)
        best = 1e9
        for _ in range(5):
            distributed.barrier()
            start = time.perf_counter()
            for _ in range(32):
                distributed.all_reduce(x)
            best = min(best, (time.perf_counter() - start) * 1e3 / 32)
        if rank == 0:
            print(json.dumps({"ms": [best]}), flush=True)
    distributed.destroy_process_group()


if __name__ == "__main__":
    devices = int(sys.argv[1])
    os.environ["BENCH_STDIN"] = str(os.dup(0))
    os.set_inheritable(int(os.environ["BENCH_STDIN"]), True)
    multiprocessing.start_processes(member, (devices, 29517 + devices), nprocs=devices, start_method="fork")
