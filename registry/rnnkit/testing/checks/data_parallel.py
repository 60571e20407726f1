"""Training in several processes with DistributedDataParallel."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, distributed

from rnnkit._messages import join_names
from rnnkit.catalog import STRICT
from rnnkit.testing._check import CheckFailedError, NotApplicableError, check
from rnnkit.testing._context import Case, CheckContext, new_lengths
from rnnkit.testing._ddp_worker import UNAVAILABLE, WORLD_SIZE, Task

_TIMEOUT = 600.0  # seconds: a busy machine takes minutes to start the processes
# One process for both ranks imports torch once; on macOS, system libraries may abort a process that was forked.
_CAN_FORK = sys.platform == "linux"
_RANKS = [tuple(range(WORLD_SIZE))] if _CAN_FORK else [(rank,) for rank in range(WORLD_SIZE)]
_MAX_CHARS = 500  # of a process's output in a message
_EXCEPTION = re.compile(r"^(?:\[rank\d\]: ?)?[\w.]+(?:Error|Exception|Interrupt)\b.*\Z", re.MULTILINE | re.DOTALL)


@check("systems")
def ddp_equals_single_process(context: CheckContext) -> None:
    """Two processes with `DistributedDataParallel` and half of the batch each train like one process with all of it.

    A parameter has no gradient, a weight is not a parameter of the module, or a statistic is computed over the batch.
    """
    reason = "other processes cannot build a kind that is registered in this process only"
    context.skip_unless(not context.kind.is_local, reason)
    available = distributed.is_available() and distributed.is_gloo_available()
    context.skip_unless(available, "torch.distributed with gloo is not available")
    for case in context.cases(({},), batch_first=True, readout="last"):
        task = _task(case)
        expected = task.train()
        for rank, result in enumerate(_train_in_processes(task)):
            context.assert_close(result, expected, f"in process {rank} of {WORLD_SIZE}, the")


def _task(case: Case) -> Task:
    model, x = case.model(), case.input()
    goal = torch.randn(model(x).shape, generator=torch.Generator().manual_seed(8), dtype=x.dtype)
    return Task(case.spec.to_json(), model.state_dict(), x, new_lengths(), goal)


def _train_in_processes(task: Task) -> list[dict[str, Tensor]]:
    # Windows does not remove files that a process still has open
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        torch.save(task._asdict(), folder / "task.pt")
        processes = {ranks: _start(folder, ranks) for ranks in _RANKS}
        try:
            statuses = [each for ranks, process in processes.items() for each in _statuses(folder, ranks, process)]
        except subprocess.TimeoutExpired as error:
            raise CheckFailedError(f"the processes did not end within {_TIMEOUT:g} s") from error
        finally:
            for process in processes.values():
                _kill(process)
        _require_success(statuses, [_error_output(folder, rank) for rank in range(WORLD_SIZE)])
        return [torch.load(folder / f"result{rank}.pt", weights_only=True) for rank in range(WORLD_SIZE)]


def _start(folder: Path, ranks: tuple[int, ...]) -> subprocess.Popen[bytes]:
    """Start a process with the same sys.path as this one, which finds the other processes without a network."""
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path)  # noqa: PTH100  # keeps symbolic links
    environment = {name: value for name, value in os.environ.items() if name != STRICT}
    own = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **_loopback()}
    with (folder / f"output{ranks[0]}.txt").open("wb") as output:
        return subprocess.Popen(  # noqa: S603  # the same Python
            [sys.executable, "-P", "-m", "rnnkit.testing._ddp_worker", str(folder), *map(str, ranks)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment | own,
            start_new_session=_CAN_FORK,  # a group of its own, which `_kill` ends
        )


def _statuses(folder: Path, ranks: tuple[int, ...], process: subprocess.Popen[bytes]) -> list[int]:
    """The exit status of each rank: that of the process, unless the rank was forked."""
    status = process.wait(_TIMEOUT)
    forked = [folder / f"status{rank}.txt" for rank in ranks]
    return [int(each.read_text(encoding="utf-8")) if each.exists() else status for each in forked]


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a process that still runs, and those that it forked."""
    if process.poll() is None:
        if sys.platform == "linux":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()


def _loopback() -> dict[str, str]:
    """The environment variable that binds gloo to the loopback interface, `lo` or `lo0`, if its name is known."""
    names = [name for _, name in socket.if_nameindex() if name.startswith("lo")] if os.name == "posix" else []
    return {"GLOO_SOCKET_IFNAME": names[0]} if names else {}


def _error_output(folder: Path, rank: int) -> str:
    """The exception in the output of a process; without one, the end of the output."""
    file = folder / f"output{rank}.txt"  # missing if the first process failed before it forked this one
    text = file.read_text(encoding="utf-8", errors="replace").strip() if file.exists() else ""
    exception = _EXCEPTION.search(text)
    return textwrap.shorten(exception[0], _MAX_CHARS, placeholder="...") if exception else text[-_MAX_CHARS:]


def _require_success(statuses: list[int], outputs: list[str]) -> None:
    """Report all processes that failed, since an error in one makes the others fail too."""
    if UNAVAILABLE in statuses:
        reason = outputs[statuses.index(UNAVAILABLE)]
        raise NotApplicableError(f"distributed training does not work on this machine: {reason}")
    what = "process {} of {} failed with exit status {} and the output\n{}"
    wrong = [what.format(rank, WORLD_SIZE, each, outputs[rank]) for rank, each in enumerate(statuses) if each]
    if wrong:
        raise CheckFailedError(join_names(wrong, "\n"))
