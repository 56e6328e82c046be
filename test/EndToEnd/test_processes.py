"""Programs on several processes: the same results as on one, and what the
others do when one of them dies or stops."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from tools import BIN, ROOT, tool, write_safetensors

MODEL = """
tpc.mesh @mesh <"dp" = 2, "tp" = 2>
tpc.parameter @up : tensor<64x256xf32>
tpc.parameter @down : tensor<256x64xf32>
tpc.state @total : tensor<8x64xf32>
func.func @main(%x: tensor<8x64xf32>) -> (tensor<8x64xf32>, tensor<8x64xf32>) {
  %up = tpc.read @up : tensor<64x256xf32>
  %down = tpc.read @down : tensor<256x64xf32>
  %h = tpc.matmul %x, %up "b e, e f -> b f" : (tensor<8x64xf32>, tensor<64x256xf32>) -> tensor<8x256xf32>
  %a = tpc.gelu erf %h : (tensor<8x256xf32>) -> tensor<8x256xf32>
  %y = tpc.matmul %a, %down "b f, f e -> b e" : (tensor<8x256xf32>, tensor<256x64xf32>) -> tensor<8x64xf32>
  %old = tpc.read @total : tensor<8x64xf32>
  %new = tpc.add %old, %y : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<8x64xf32>
  tpc.write @total, %new : tensor<8x64xf32>
  return %y, %new : tensor<8x64xf32>, tensor<8x64xf32>
}
"""
LIMIT = 60


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """(module, weights, input)"""
    folder = tmp_path_factory.mktemp("model")
    random = np.random.default_rng(0)
    weights = {"up": random.standard_normal((64, 256)).astype("f4"),
               "down": random.standard_normal((256, 64)).astype("f4")}
    (folder / "model.mlir").write_text(MODEL)
    write_safetensors(folder / "weights.safetensors", weights)
    np.save(folder / "x.npy", random.standard_normal((8, 64)).astype("f4"))
    return folder


def arguments(model, mesh, *options):
    return [str(option) for option in [
        model / "model.mlir", "--mesh", mesh, "--weights",
        model / "weights.safetensors", "--input", f"arg0=@{model}/x.npy",
        "--quiet", *options]]


def outputs_to(folder):
    return ["--output", f"result0=@{folder}/y.npy", "--output",
            f"result1=@{folder}/total.npy"]


def launch(count, *command, timeout=None):
    limits = [] if timeout is None else ["--timeout", str(timeout)]
    return subprocess.run(
        [BIN / "tpc-launch", "-n", str(count), *limits, "--", *command],
        capture_output=True, text=True, timeout=LIMIT)


# Meshes, processes and modes. With megatron, `dp` splits the batch: outputs lie
# in several processes.
CASES = [("tp=2", 2, "auto"), ("tp=4", 4, "auto"), ("tp=4", 2, "megatron"),
         ("dp=2,tp=2", 2, "megatron"), ("dp=2,tp=2", 4, "megatron"),
         ("dp=3,tp=2", 3, "megatron"), ("dp=2,tp=3", 3, "megatron")]


@pytest.mark.parametrize("transport", ["auto", "network"])
@pytest.mark.parametrize("mesh,count,mode", CASES)
def test_results_are_those_of_one_process(model, tmp_path, mesh, count, mode,
                                          transport):
    options = ["--mode", mode, "--repeat", 2]
    tool("tpc-run", *arguments(model, mesh, *options, *outputs_to(tmp_path)))
    expected = np.load(tmp_path / "y.npy"), np.load(tmp_path / "total.npy")
    result = launch(count, BIN / "tpc-run", *arguments(
        model, mesh, *options, "--transport", transport, "--check",
        *outputs_to(tmp_path)))
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("ok") == 1  # one process speaks
    # Bit for bit: what is reduced is reduced in the same order.
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected[0])
    np.testing.assert_array_equal(np.load(tmp_path / "total.npy"), expected[1])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_as(rank, size, names, command, **more):
    variables = dict(zip(names, (rank, size, rank, size)))
    return subprocess.Popen(
        command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, **{k: str(v) for k, v in variables.items()}, **more})


@pytest.mark.parametrize("names", [
    ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_NTASKS_PER_NODE")])
def test_started_by_others(model, names):
    port = str(free_port())
    processes = [start_as(rank, 2, names,
                          [BIN / "tpc-run", *arguments(model, "tp=2", "--check")],
                          MASTER_ADDR="127.0.0.1", MASTER_PORT=port,
                          SLURM_JOB_ID="1", SLURM_STEP_ID="0")
                 for rank in range(2)]
    texts = [process.communicate(timeout=LIMIT) for process in processes]
    assert [p.returncode for p in processes] == [0, 0], texts
    assert ": ok" in texts[0][0]
    assert not texts[1][0]


def test_under_mpirun(model):
    if not shutil.which("mpirun"):
        pytest.skip("there is no mpirun (package openmpi-bin)")
    result = subprocess.run(
        ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "4",
         BIN / "tpc-run", *arguments(model, "tp=4", "--check")],
        capture_output=True, text=True, timeout=LIMIT)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(": ok") == 1


def torchrun(count, *command, restarts=0):
    program = shutil.which("torchrun") or ROOT / "build/peers/bin/torchrun"
    if not pathlib.Path(program).exists():
        pytest.skip("there is no torchrun (scripts/bench --peers installs it)")
    return subprocess.run(
        [program, "--nproc-per-node", str(count), "--max-restarts",
         str(restarts), "--master-port", str(free_port()), "--no-python",
         *command], capture_output=True, text=True, timeout=3 * LIMIT)


@pytest.mark.parametrize("count,mesh", [(2, "tp=4"), (1, "tp=2")])
def test_under_torchrun(model, count, mesh):
    result = torchrun(count, BIN / "tpc-run", *arguments(model, mesh, "--check"))
    assert result.returncode == 0, result.stderr
    assert result.stdout.count(": ok") == 1


def test_an_error_under_torchrun(model):
    result = torchrun(2, BIN / "tpc-run", *arguments(model, "tp=2"), "--inject",
                      "kill:rank=1,op=1")
    assert result.returncode == 1
    assert re.search(r"tpc-run: error: .*rank 1 \(pid \d+ on .*\) is gone",
                     result.stderr), result.stderr


def test_torchrun_starts_all_again(model):
    first = ('test "$TORCHELASTIC_RESTART_COUNT" != 0 || '
             'set -- "$@" --inject kill:rank=1,op=1; exec "$@"')
    result = torchrun(2, "sh", "-c", first, "sh", BIN / "tpc-run",
                      *arguments(model, "tp=2", "--check"), restarts=1)
    assert result.returncode == 0, result.stderr
    assert "is gone" in result.stderr
    assert result.stdout.count(": ok") == 1


def test_an_artifact_runs_on_processes(model, tmp_path):
    tool("tpc-run", *arguments(model, "tp=2", "--save", tmp_path / "m.tpcx",
                               *outputs_to(tmp_path)))
    expected = np.load(tmp_path / "y.npy")
    result = launch(2, BIN / "tpcrt-run", tmp_path / "m.tpcx", "--weights",
                    model / "weights.safetensors", "--input",
                    f"arg0=@{model}/x.npy", *outputs_to(tmp_path))
    assert result.returncode == 0, result.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)


# ---------------------------------------------------------------- refusals --


def launch_different(options, *command):
    """Each rank with its own last arguments."""
    script = " ".join(f"{rank}) exec \"$@\" {extra};;"
                      for rank, extra in enumerate(options))
    return launch(len(options), "sh", "-c", f"case $TPC_RANK in {script} esac",
                  "sh", *command)


def test_one_process_searches_for_all(model, tmp_path):
    """Alone, the second would find another plan: its machine exchanges slowly."""
    machine = pathlib.Path(__file__).parents[1] / "data/machines"
    command = [BIN / "tpc-run", *arguments(model, "tp=2"),
               "--report", tmp_path / "report.json", "--check"]
    plans = []
    for name in ("eager", "slow-exchange"):
        tool("tpc-run", *arguments(model, "tp=2"), "--dry-run", "--machine",
             machine / f"{name}.json", "--plan-out", tmp_path / "plan.json")
        plans.append(json.loads((tmp_path / "plan.json").read_text()))
    assert plans[0]["entries"] != plans[1]["entries"]
    result = launch_different(
        [f"--machine {machine}/eager.json",
         f"--machine {machine}/slow-exchange.json"], *command)
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["check"]["ok"] and "search" in report



def test_another_mesh_is_refused(model):
    result = launch_different(
        ["--mesh tp=2", "--mesh dp=2"], BIN / "tpc-run", model / "model.mlir",
        "--input", f"arg0=@{model}/x.npy")
    assert result.returncode != 0
    assert "rank 0 has 'mesh tp=2," in result.stderr
    assert "rank 1 has 'mesh dp=2," in result.stderr


def test_another_artifact_is_refused(model, tmp_path):
    for name, mode in (("a", "auto"), ("b", "megatron")):
        tool("tpc-run", *arguments(model, "dp=2,tp=2", "--mode", mode, "--save",
                                   tmp_path / f"{name}.tpcx", "--dry-run"))
    result = launch_different(
        [tmp_path / "a.tpcx", tmp_path / "b.tpcx"], BIN / "tpcrt-run",
        "--weights", model / "weights.safetensors", "--input",
        f"arg0=@{model}/x.npy")
    assert result.returncode != 0
    assert re.search(r"agree 'artifact': expected the same in all processes, "
                     r"but rank 0 has '\w+' and rank 1 has '\w+'", result.stderr)


def test_another_program_is_refused(model, tmp_path):
    tool("tpc-run", *arguments(model, "tp=2", "--save", tmp_path / "m.tpcx",
                               "--dry-run"))
    result = launch(2, "sh", "-c",
                    f"if [ $TPC_RANK = 0 ]; then exec {BIN}/tpcrt-run "
                    f"{tmp_path}/m.tpcx; else exec {BIN}/tpc-run "
                    f"{model}/model.mlir --mesh tp=2; fi")
    assert result.returncode != 0
    assert "tpcrt-run 0" in result.stderr and "tpc 0" in result.stderr


def test_devices_are_divided_evenly(model):
    result = launch(3, BIN / "tpc-run", *arguments(model, "tp=4"))
    assert result.returncode != 0
    assert ("expected a mesh whose number of devices is a multiple of the 3 "
            "processes, found 4 devices") in result.stderr


def test_an_error_of_one_ends_all(model):
    begin = time.monotonic()
    result = launch_different(
        ["", "--input no_such_input=1xf32=1"], BIN / "tpc-run",
        *arguments(model, "tp=2", "--timeout", 30))
    assert result.returncode != 0
    assert time.monotonic() - begin < 20
    assert "no_such_input" in result.stderr
    assert "rank 1" in result.stderr


# ---------------------------------------------------------------- failures --

TIMEOUT = 2
PLACES = ["at=start", "at=load", "op=3", "run=2", "at=exit"]


def traces():
    """What a process could leave behind: shared memory in a file system, and
    sockets with names."""
    unix = pathlib.Path("/proc/net/unix").read_text()
    return (set(os.listdir("/dev/shm")),
            sorted(re.findall(r"@?tpc\S*", unix)))


def matrix():
    """All places with three processes; TPC_FAILURE_MATRIX=all: also with two
    and four, and every rank."""
    everything = os.environ.get("TPC_FAILURE_MATRIX") == "all"
    for count in (2, 3, 4) if everything else (3,):
        for place in PLACES:
            for kind in ("kill", "stop"):
                for rank in range(count) if everything else (0, 1):
                    if everything or kind == "kill" or rank == 1:
                        yield count, kind, rank, place


@pytest.mark.parametrize("count,kind,rank,place", list(matrix()))
def test_survivors_end(model, tmp_path, count, kind, rank, place):
    before = traces()
    begin = time.monotonic()
    result = launch(
        count, BIN / "tpc-run", *arguments(
            model, f"tp={count}", "--repeat", 3, "--timeout", TIMEOUT,
            "--start-timeout", TIMEOUT, "--inject", f"{kind}:rank={rank},{place}",
            "--flight-recorder", tmp_path / "flight"),
        timeout=TIMEOUT)
    seconds = time.monotonic() - begin
    print(f"MATRIX {count} {kind} {rank} {place} {seconds:.2f} s")
    assert result.returncode not in (0, None)
    # A second for each to start and compile, and one to end.
    limit = TIMEOUT + 1 if kind == "stop" or place == "at=start" else 0
    assert seconds < limit + 4
    error = result.stderr
    assert f"rank {rank} was" in error.splitlines()[-1]
    if place == "at=start" and kind == "kill":
        return  # the others had not heard of it, and were ended
    for survivor in set(range(count)) - {rank}:
        lines = [line for line in error.splitlines()
                 if line.startswith(f"[{survivor}] tpc-run: error: ")]
        assert lines, error
        assert f"rank {rank}" in lines[-1], error
    if place in ("run=2",):
        assert re.search(r"waited in its operation \d+, \w+ '.*' at "
                         r"\S*model.mlir:\d+", error), error
        told = tool("tpc-run", "--diagnose", tmp_path / "flight").stdout
        assert f"rank {rank} left no recording" in told
        assert "waits in operation" in told
    assert traces() == before


def test_the_network_reports_the_same(model):
    result = launch(3, BIN / "tpc-run", *arguments(
        model, "tp=3", "--transport", "network", "--repeat", 3, "--timeout",
        TIMEOUT, "--inject", "stop:rank=1,run=2"), timeout=TIMEOUT)
    for survivor in (0, 2):
        assert re.search(
            rf"\[{survivor}\] tpc-run: error: .*waits for devices? 1 \(rank 1\)",
            result.stderr), result.stderr


def test_the_recordings_say_who_is_behind(model, tmp_path):
    """A rank that is late leaves a recording as well."""
    result = launch(2, BIN / "tpc-run", *arguments(
        model, "tp=2", "--repeat", 3, "--timeout", 1, "--inject",
        "delay:rank=1,run=2,ms=2500", "--flight-recorder", tmp_path))
    assert result.returncode != 0
    told = tool("tpc-run", "--diagnose", tmp_path).stdout
    assert re.search(r"device 1 \(rank 1\) is behind: it has finished operation "
                     r"\d+, .*, and has not started operation", told), told
    recording = json.loads((tmp_path / "rank-0.json").read_text())
    assert recording["size"] == 2


def test_a_folder_without_recordings(tmp_path):
    result = tool("tpc-run", "--diagnose", tmp_path, check=False)
    assert result.returncode == 1
    assert "expected recordings rank-*.json, found none" in result.stderr
    (tmp_path / "rank-0.json").write_text("{")
    result = tool("tpc-run", "--diagnose", tmp_path, check=False)
    assert "rank-0.json: not a flight recording" in result.stderr


# ---------------------------------------------------------------- numerics --


def test_the_first_nan_is_named(model, tmp_path):
    options = arguments(model, "tp=2", "--mode", "megatron")
    result = launch(2, BIN / "tpc-run", *options, "--check-numerics")
    assert result.returncode == 0, result.stderr
    result = launch(2, BIN / "tpc-run", *options, "--check-numerics",
                    "--inject", "corrupt:rank=1,op=1")
    assert result.returncode != 0
    assert re.search(r"step '.*' \(.*model.mlir:\d+\), device 1: NaN at element 0 "
                     r"of \d+ \(f32\)", result.stderr), result.stderr
    # Without the watch nobody notices.
    np.save(tmp_path / "bad.npy", np.full((8, 64), np.inf, "f4"))
    result = tool("tpc-run", *arguments(model, "tp=2", "--check-numerics"),
                  "--input", f"arg0=@{tmp_path}/bad.npy", check=False)
    assert result.returncode != 0


@pytest.mark.parametrize("text", [
    "kill", "kill:rank=1", "kill:op=1", "burn:rank=1,op=1", "kill:rank=x,op=1",
    "kill:rank=1,at=noon", "delay:rank=1,op=1", "kill:rank=1,op=1,ms=5",
    "corrupt:rank=1,at=load", "kill:rank=1,op=0", "kill:rank=1,op=1,run=1"])
def test_faults_are_spelled_right(model, text):
    result = tool("tpc-run", model / "model.mlir", "--inject", text, check=False)
    assert result.returncode == 1
    assert "--inject: expected a fault like" in result.stderr


# ------------------------------------------------------------------ Python --

SCRIPT = """
import numpy as np, sys, tpc
me = tpc.init_distributed(timeout=20)
assert (me.rank, me.size) == ({rank}, 2) and me.is_leader == (me.rank == 0)
w = np.arange(32, dtype="f4").reshape(4, 8)
g = tpc.Graph()
x = g.input("x", (6, 4))
g.output(y=tpc.relu(x @ g.parameter("w", (4, 8))))
exe = tpc.compile(g, mesh={mesh}, mode="megatron", weights={{"w": w}})
a = np.linspace(-1, 1, 24, dtype="f4").reshape(6, 4)
np.testing.assert_allclose(exe(x=a), np.maximum(a @ w, 0), rtol=1e-6)
{end}
"""


def run_python(mesh, end=""):
    package = os.environ.get("PYTHONPATH", str(BIN.parent / "python"))
    port = str(free_port())
    processes = [
        start_as(rank, 2, ("RANK", "WORLD_SIZE", "LOCAL_RANK",
                           "LOCAL_WORLD_SIZE"),
                 [sys.executable, "-c",
                  SCRIPT.format(rank=rank, mesh=mesh, end=end)],
                 MASTER_ADDR="127.0.0.1", MASTER_PORT=port, PYTHONPATH=package)
        for rank in range(2)]
    errors = [process.communicate(timeout=LIMIT)[1] for process in processes]
    return [process.returncode for process in processes], errors


@pytest.mark.parametrize("mesh", ["{'tp': 2}", "{'dp': 2, 'tp': 2}"])
def test_python_on_processes(mesh):
    codes, errors = run_python(mesh)
    assert codes == [0, 0], errors


def test_an_exception_in_python_ends_the_others():
    begin = time.monotonic()
    codes, errors = run_python(
        "{'tp': 2}",
        "if me.rank == 1: raise ValueError('mine')\nexe(x=a)\nexe(x=a)")
    assert codes[0] != 0 and codes[1] != 0
    assert "rank 1: ValueError: mine" in errors[0]
    assert time.monotonic() - begin < 20
