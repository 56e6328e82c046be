"""tpc-run --doctor on the machine that the tests run on, whatever it is; what
it finds on others is in test/Unit/Topology."""

import json
import os
import re

import pytest

from tools import tool

MODULE = """tpc.mesh @mesh <"tp" = 2>
func.func @main(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %0 = tpc.softmax %x : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return %0 : tensor<2x4xf32>
}
"""


def kib(name):
    text = open("/proc/meminfo").read()
    return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M).group(1))


def test_table():
    result = tool("tpc-run", "--doctor", check=False)
    assert result.returncode == ("error: " in result.stdout), result.stdout
    assert f"{kib('MemTotal') / 2**20:.1f} GiB, " in result.stdout
    threads = len(os.sched_getaffinity(0))
    assert f"({threads} by affinity" in result.stdout


def test_affinity_is_found():
    cores = os.sched_getaffinity(0)
    if len(cores) == 1:
        pytest.skip("there is one core")
    os.sched_setaffinity(0, {min(cores)})
    try:
        result = tool("tpc-run", "--doctor", check=False)
    finally:
        os.sched_setaffinity(0, cores)
    assert re.search(r"^warning: affinity of this process: expected all \d+ "
                     r"threads of the CPU; found 1 of them\n  start it without "
                     "taskset", result.stdout, re.M), result.stdout


def test_description_is_accepted(tmp_path):
    file = tmp_path / "found.json"
    result = tool("tpc-run", "--doctor", "--machine-out", file, check=False)
    if "error: --machine-out" in result.stderr:
        pytest.skip(f"GPUs that cannot be described: {result.stderr}")
    name = json.loads(file.read_text())["name"]
    assert f'Wrote {file}, "{name}":\n' in result.stdout
    if name.startswith("cpu"):
        assert "tpc-run --calibrate measures" in result.stdout
    (tmp_path / "m.mlir").write_text(MODULE)
    command = ["tpc-run", tmp_path / "m.mlir", "--dry-run", "--machine", file]
    assert "Plan for mesh tp=2" in tool(*command).stdout
    # It is this file that is read.
    file.write_text(file.read_text().replace('"tflops"', '"flops"'))
    assert '"flops"' in tool(*command, check=False).stderr


@pytest.mark.parametrize("arguments, message", [
    (["--machine-out", "x.json"],
     "expected one of: a model, --calibrate, --diagnose, --doctor"),
    (["m.mlir", "--machine-out", "x.json"],
     "--machine-out: expected it with --doctor; --calibrate FILE.json"),
    (["m.mlir", "--doctor"],
     "expected one of: a model, --calibrate, --diagnose, --doctor"),
    (["--doctor", "--machine-out", "/nowhere/x.json"],
     "error: --machine-out: "),
])
def test_command(arguments, message):
    result = tool("tpc-run", *arguments, check=False)
    assert result.returncode == 1
    assert message in result.stderr
