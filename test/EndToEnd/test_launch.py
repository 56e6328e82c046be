"""tpc-launch: what its processes get, how their output comes out, and how a run
ends when one of them fails, stops, or is told to end."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from tools import BIN

# Longer than any of these runs takes; nothing waits for it.
LIMIT = 60


def start(*arguments, **options):
    return subprocess.Popen([str(BIN / "tpc-launch"), *map(str, arguments)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, **options)


def launch(*arguments, **options):
    """(exit code, stdout, stderr)"""
    process = start(*arguments, **options)
    out, error = process.communicate(timeout=LIMIT)
    return process.returncode, out, error


def python(text):
    return sys.executable, "-c", text


def last_line(text):
    return text.strip().splitlines()[-1]


def wait_until(condition):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_alive(pid):
    try:
        state = pathlib.Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0]
        return state not in "ZX"
    except FileNotFoundError:
        return False


MEMBER = BIN / "group-member"


@pytest.mark.parametrize("count", [1, 2, 4])
def test_processes_meet(count):
    code, out, error = launch("-n", count, MEMBER, 60, 50)
    assert code == 0, error
    lines = sorted(re.sub(r"^\[\d+\] ", "", line) for line in out.splitlines())
    assert lines == [f"rank {rank} of {count}: 50 steps"
                     for rank in range(count)]
    assert error == ""


def test_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("TPC_")]:
        monkeypatch.delenv(name)  # of the tests
    # Of the launcher that started tpc-launch, perhaps; they are not its.
    monkeypatch.setenv("RANK", "5")
    monkeypatch.setenv("OMPI_COMM_WORLD_RANK", "5")
    monkeypatch.setenv("TPC_TOKEN", "mine")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    code, out, error = launch("-n", 3, "--no-prefix", *python(
        "import os\n"
        "names = ('TPC_', 'RANK', 'OMPI_', 'SLURM_')\n"
        "line = ' '.join(sorted(f'{name}={value}'\n"
        "    for name, value in os.environ.items()\n"
        "    if name.startswith(names)))\n"
        "os.write(1, (line + '\\n').encode())"))
    assert code == 0, error
    tokens, ports = set(), set()
    lines = sorted(out.splitlines(),
                   key=lambda line: re.search(r"TPC_RANK=\d", line).group())
    for rank, line in enumerate(lines):
        variables = dict(word.split("=", 1) for word in line.split())
        tokens.add(variables.pop("TPC_TOKEN"))
        ports.add(variables.pop("TPC_MASTER_PORT"))
        assert ("TPC_LISTEN_FD" in variables) == (rank == 0)
        variables.pop("TPC_LISTEN_FD", None)
        assert variables == {
            "TPC_RANK": str(rank), "TPC_WORLD_SIZE": "3",
            "TPC_LOCAL_RANK": str(rank), "TPC_LOCAL_SIZE": "3",
            "TPC_MASTER_ADDR": "127.0.0.1", "SLURM_JOB_ID": "7"}
    assert len(lines) == 3 and len(tokens) == 1 and len(ports) == 1
    assert re.fullmatch("[0-9a-f]{32}", tokens.pop())


def test_rank_0_listens_already():
    code, _, error = launch("-n", 2, *python(
        "import os, socket\n"
        "if os.environ['TPC_RANK'] == '0':\n"
        "    listener = socket.socket(fileno=int(os.environ['TPC_LISTEN_FD']))\n"
        "    port = int(os.environ['TPC_MASTER_PORT'])\n"
        "    assert listener.getsockname() == ('127.0.0.1', port)\n"
        "    assert listener.getsockopt(socket.SOL_SOCKET,"
        " socket.SO_ACCEPTCONN)"))
    assert code == 0, error


def test_a_shell_in_between_keeps_the_socket():
    code, out, error = launch("-n", 2, "sh", "-c", f"{MEMBER} 60 3; exit $?")
    assert code == 0, error
    assert "rank 0 of 2: 3 steps\n" in out


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, error = launch("-n", 2, "--port", port, "true")
    assert code == 1
    assert error == (f"tpc-launch: error: cannot listen at 127.0.0.1:{port}: "
                     "Address already in use\n")


WRITE = ("import os, sys\n"
         "rank = os.environ['TPC_RANK']\n"
         "os.write(1, f'out {rank}\\nunfinished {rank}'.encode())\n"
         "os.write(2, f'error {rank}\\n'.encode())\n")


def test_prefixes():
    code, out, error = launch("-n", 2, *python(WRITE))
    assert code == 0
    # Rank 0's output goes past tpc-launch: it may come anywhere in between.
    assert sorted(out.replace("unfinished 0", "").splitlines()) == [
        "[1] out 1", "[1] unfinished 1", "out 0"]
    assert sorted(error.splitlines()) == ["[0] error 0", "[1] error 1"]


@pytest.mark.parametrize("arguments", [("-n", 1), ("-n", 2, "--no-prefix")])
def test_no_prefixes(arguments):
    code, out, error = launch(*arguments, *python(WRITE))
    assert code == 0
    assert "[" not in out + error
    assert "out 0\nunfinished 0" in out and "error 0\n" in error


def test_much_output_is_whole():
    code, out, error = launch("-n", 3, *python(
        "import os\n"
        "rank = int(os.environ['TPC_RANK'])\n"
        "for i in range(20000 if rank else 0): print(rank, i)"))
    assert code == 0, error
    for rank in (1, 2):
        prefix = f"[{rank}] {rank} "
        assert [line[len(prefix):] for line in out.splitlines()
                if line.startswith(prefix)] == [str(i) for i in range(20000)]


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_all(count, rank):
    begin = time.monotonic()
    code, _, error = launch("-n", count, MEMBER, 60, 100, "kill", rank)
    assert time.monotonic() - begin < 30  # far below the timeouts
    assert code == 128 + signal.SIGKILL
    assert re.fullmatch(
        rf"tpc-launch: error: rank {rank} was killed by signal 9 \(Killed\) "
        r"after \d+\.\d s", last_line(error))
    for other in set(range(count)) - {rank}:
        assert re.search(rf"^\[{other}\] error: barrier 'step 50': rank {rank} "
                         r"\(pid \d+ on .*\) is gone$", error, re.M), error


def test_an_exit_code_is_passed_on():
    code, _, error = launch("-n", 3, "--timeout", 0, *python(
        "import os, sys, time\n"
        "if os.environ['TPC_RANK'] == '2': sys.exit(7)\n"
        "time.sleep(1000)"))
    assert code == 7
    assert re.fullmatch(r"tpc-launch: error: rank 2 ended with exit code 7 "
                        r"after \d+\.\d s; the others were ended",
                        last_line(error))


def test_who_exits_early_is_gone():
    code, _, error = launch("-n", 3, MEMBER, 60, 100, "exit", 2)
    assert code in (1, 7)  # two of them may end in the same moment
    for other in (0, 1):
        assert re.search(rf"^\[{other}\] error: barrier 'step 50': rank 2 "
                         r"\(pid \d+ on .*\) is gone$", error, re.M), error


@pytest.mark.parametrize("rank", [0, 2])
def test_a_stopped_process_ends_all(rank):
    code, _, error = launch("-n", 3, "--timeout", 1, MEMBER, 1, 100, "stop",
                            rank)
    assert code == 128 + signal.SIGSTOP
    assert f"tpc-launch: rank {rank} was stopped by signal 19" in error
    for other in {0, 1, 2} - {rank}:
        assert re.search(rf"^\[{other}\] error: barrier 'step 50': "
                         rf"rank {rank} ", error, re.M) or re.search(
            rf"^\[{other}\] error: rank {rank} .* did not come to barrier "
            "'step 50' within 1 s", error, re.M), error
    assert re.search(rf"error: rank {rank} was stopped by signal 19 .* and did "
                     "not go on; the others were ended", last_line(error))


def test_a_stopped_process_may_go_on():
    process = start("-n", 2, *python(
        "import os, signal\n"
        "if os.environ['TPC_RANK'] == '1':\n"
        "    print(os.getpid(), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
        "    print('on')"))
    pid = int(process.stdout.readline().removeprefix("[1] "))
    assert "rank 1 was stopped" in process.stderr.readline()
    os.kill(pid, signal.SIGCONT)
    out, error = process.communicate(timeout=LIMIT)
    assert (process.returncode, out, error) == (0, "[1] on\n", "")


def test_survivors_have_time_to_end():
    code, out, error = launch("-n", 2, "--timeout", 20, *python(
        "import os, sys, time\n"
        "if os.environ['TPC_RANK'] == '1': sys.exit(3)\n"
        "time.sleep(0.5)\n"
        "print('done')"))
    assert (code, out) == (3, "done\n")
    assert re.fullmatch(r"tpc-launch: error: rank 1 ended with exit code 3 "
                        r"after \d+\.\d s", last_line(error))


def test_who_does_not_end_is_ended(tmp_path):
    """Also one that ignores SIGTERM, and what it has started."""
    code, _, error = launch("-n", 2, "--timeout", 0, *python(
        "import os, signal, subprocess, sys, time\n"
        f"ready = {str(tmp_path / 'ready')!r}\n"
        "if os.environ['TPC_RANK'] == '1':\n"
        "    while not os.path.exists(ready): time.sleep(0.01)\n"
        "    sys.exit(3)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "open(ready + '.new', 'w').write(f'{os.getpid()} {child.pid}')\n"
        "os.rename(ready + '.new', ready)\n"
        "time.sleep(1000)"))
    assert code == 3
    assert last_line(error).endswith("; the others were ended")
    for pid in (tmp_path / "ready").read_text().split():
        wait_until(lambda: not is_alive(pid))


def test_what_a_process_leaves_behind_ends(tmp_path):
    code, _, error = launch("-n", 2, "sh", "-c",
                            f"sleep 1000 & echo $! >{tmp_path}/$TPC_RANK")
    assert code == 0, error
    for rank in "01":
        pid = (tmp_path / rank).read_text().strip()
        wait_until(lambda: not is_alive(pid))


# One call writes the line: others write to the same pipe.
SLEEP = ("import os, time\n"
         "os.write(1, f'{os.getpid()}\\n'.encode())\n"
         "time.sleep(1000)\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on(number):
    process = start("-n", 2, "--no-prefix", *python(SLEEP))
    pids = [int(process.stdout.readline()) for _ in range(2)]
    process.send_signal(number)
    _, error = process.communicate(timeout=LIMIT)
    assert process.returncode == 128 + number
    assert f"error: ended by signal {int(number)} " in last_line(error)
    assert not any(is_alive(pid) for pid in pids)


def test_nothing_stays_if_it_is_killed():
    process = start("-n", 3, "--no-prefix", *python(SLEEP))
    pids = [int(process.stdout.readline()) for _ in range(3)]
    process.kill()
    process.communicate(timeout=LIMIT)
    for pid in pids:
        wait_until(lambda: not is_alive(pid))


def test_only_rank_0_reads():
    process = start("-n", 2, *python(
        "import os, sys\n"
        "text = f'{os.environ[\"TPC_RANK\"]} {sys.stdin.read()!r}\\n'\n"
        "os.write(1, text.encode())"),
        stdin=subprocess.PIPE)
    out, error = process.communicate("text", timeout=LIMIT)
    assert process.returncode == 0, error
    assert sorted(out.splitlines()) == ["0 'text'", "[1] 1 ''"]


@pytest.mark.parametrize("arguments, says", [
    ((), "expected -n and the number of processes"),
    (("-n", 2), "expected a command"),
    (("-n", 0, "true"), "-n: expected a number from 1 to 1024, found '0'"),
    (("-n", "two", "true"), "-n: expected a number"),
    (("-n", 2, "--timeout", "soon", "true"), "--timeout: expected seconds"),
    (("-n", 2, "--timeout=-1", "true"), "--timeout: expected seconds"),
    (("-n", 2, "--timeout=nan", "true"), "--timeout: expected seconds"),
    (("-n", 2, "--port", 70000, "true"), "--port: expected a port"),
    (("-n", 2, "--fast", "true"), "expected an option of tpc-launch"),
])
def test_bad_arguments(arguments, says):
    code, out, error = launch(*arguments)
    assert (code, out) == (2, "")
    assert error.startswith("tpc-launch: error: ") and says in error


def test_a_command_that_is_none():
    code, _, error = launch("-n", 2, "./nonsense")
    assert code == 1
    assert error == ("tpc-launch: error: cannot start './nonsense': No such "
                     "file or directory\n")


def other_launcher(variables, *arguments):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("TPC_R", "TPC_W", "TPC_L"))}
    return subprocess.Popen([str(MEMBER), *map(str, arguments)],
                            env=environment | variables, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def environments(kind, rank, port):
    if kind == "torchrun":
        return {"RANK": rank, "WORLD_SIZE": "2", "LOCAL_RANK": rank,
                "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "localhost",
                "MASTER_PORT": port}
    if kind == "mpirun":
        return {"OMPI_COMM_WORLD_RANK": rank, "OMPI_COMM_WORLD_SIZE": "2",
                "OMPI_COMM_WORLD_LOCAL_RANK": rank,
                "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
                "PMIX_NAMESPACE": f"job of {os.getpid()}"}
    return {"SLURM_PROCID": rank, "SLURM_NTASKS": "2", "SLURM_LOCALID": rank,
            "SLURM_STEP_TASKS_PER_NODE": "2", "SLURM_JOB_ID": str(os.getpid()),
            "SLURM_STEP_ID": "0", "SLURM_STEP_NODELIST": "node7"}


@pytest.mark.parametrize("kind", ["torchrun", "mpirun", "srun"])
def test_other_launchers(kind):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = [other_launcher(environments(kind, str(rank), port), 60, 10)
                 for rank in range(2)]
    for rank, process in enumerate(processes):
        out, error = process.communicate(timeout=LIMIT)
        assert (process.returncode, out, error) == (
            0, f"rank {rank} of 2: 10 steps\n", "")


def test_contradicting_launchers():
    process = other_launcher(environments("torchrun", "0", "1") |
                             environments("mpirun", "1", "1"), 1, 1)
    _, error = process.communicate(timeout=LIMIT)
    assert process.returncode == 1
    assert "torchrun says RANK=0 and WORLD_SIZE=2, but Open MPI says" in error
