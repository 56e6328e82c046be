"""Several processes that run one mesh together."""

import atexit
import dataclasses
import sys

from tpc import _tpc


@dataclasses.dataclass(frozen=True)
class Processes:
    """This process among those that a launcher started."""

    rank: int
    size: int

    @property
    def is_leader(self):
        """Whether this one should print and write files."""
        return self.rank == 0


_processes = None


def init_distributed(*, timeout=60.0, start_timeout=120.0, transport="auto"):
    """Meets the other processes that tpc-launch, torchrun, mpirun or srun
    started, and returns which of them this is; without a launcher it is alone.

    From then on `tpc.load`, `tpc.compile` and `tpc.load_artifact` divide the
    mesh's devices evenly over the processes, and every process makes the same
    calls with the same arguments; each gets whole outputs.

    timeout: seconds that processes wait for each other while programs run.
    start_timeout: seconds that they wait for each other to start, to compile
    and to load.
    transport: "auto" (memory that the processes of a host share, else the
    network) or "network".

    Raises tpc.Error if the launcher's settings contradict each other, or the
    others do not come.
    """
    global _processes
    if transport not in ("auto", "network"):
        raise ValueError(
            f'transport: expected "auto" or "network", found {transport!r}')
    if not (timeout > 0 and start_timeout > 0):
        raise ValueError(f"expected timeouts above 0 seconds, found {timeout} "
                         f"and {start_timeout}")
    if _processes is None:
        rank, size = _tpc.connect_processes(timeout, start_timeout,
                                            transport == "network")
        _processes = Processes(rank, size)
        atexit.register(_leave)
    return _processes


def _leave():
    """An orderly end waits for the others; an exception ends them as well."""
    error = getattr(sys, "last_value", None)
    if error is None:
        _tpc.close_processes()
    else:
        _tpc.abort_processes(f"{type(error).__name__}: {error}")
