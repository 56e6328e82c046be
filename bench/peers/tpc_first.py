"""tpc, from a directory to the first token.  tpc_first.py FOLDER DTYPE LENGTH"""

import json
import sys

import tpc

import workloads

folder, dtype, length = sys.argv[1:4]
model = tpc.load(folder, dtype=dtype, context=int(length) + workloads.ROOM)
model.generate(workloads.prompt(model.config["vocab_size"], 1, int(length)), 1)
print(json.dumps({"first": True}), flush=True)
