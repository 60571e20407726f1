"""What a kind promises of training in several processes at once."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, distributed

from rnnkit.catalog import STRICT
from rnnkit.testing.check import CheckFailedError, NotApplicableError, check
from rnnkit.testing.check_context import Case, CheckContext, new_lengths
from rnnkit.testing.parallel_worker import CANNOT, WORLD, Task

_PATIENCE = 120.0  # seconds
_QUOTED = 500  # characters of what a process has printed
_RAISED = re.compile(r"^(?:\[rank\d\]: ?)?[\w.]+(?:Error|Exception|Interrupt)\b.*\Z", re.MULTILINE | re.DOTALL)


@check("systems")
def ddp_equals_single_process(context: CheckContext) -> None:
    """Two processes with `DistributedDataParallel`, each with half of the rows, train as one does with all of them.

    A parameter has no gradient, a weight is no parameter of the module, or something is taken over the batch.
    """
    context.needs(not context.kind_under_test.is_local, "another process does not know a kind of this process alone")
    available = distributed.is_available() and distributed.is_gloo_available()
    context.needs(available, "this torch has no torch.distributed with gloo")
    for case in context.cases(({},), batch_first=True, readout="last"):
        task = _task(case)
        expected = task.train(task.model())
        for rank, result in enumerate(_in_processes(task)):
            context.same(result, expected, f"in process {rank} of {WORLD}, the")


def _task(case: Case) -> Task:
    x = case.input()
    model = case.model()
    goal = torch.randn(model(x).shape, generator=torch.Generator().manual_seed(8), dtype=x.dtype)
    return Task(case.spec, model.state_dict(), x, new_lengths(), goal)


def _in_processes(task: Task) -> list[dict[str, Tensor]]:
    """What each of the processes finds."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        task.write(folder)
        processes = [_started(folder, rank) for rank in range(WORLD)]
        try:
            statuses = [process.wait(_PATIENCE) for process in processes]
        except subprocess.TimeoutExpired as error:
            raise CheckFailedError(f"the processes did not end in {_PATIENCE:g} s") from error
        finally:
            _end(processes)
        _check(statuses, [_printed(folder, rank) for rank in range(WORLD)])
        return [torch.load(folder / f"result{rank}.pt", weights_only=True) for rank in range(WORLD)]


def _started(folder: Path, rank: int) -> subprocess.Popen[bytes]:
    """A process that finds the same modules as this one, and the other process without a network."""
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path)  # noqa: PTH100  # which keeps links as they are
    environment = {name: value for name, value in os.environ.items() if name != STRICT}
    own = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **_loopback()}
    with (folder / f"printed{rank}.txt").open("wb") as printed:
        return subprocess.Popen(  # noqa: S603  # this very Python
            [sys.executable, "-P", "-m", "rnnkit.testing.parallel_worker", str(folder), str(rank)],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            env=environment | own,
        )


def _loopback() -> dict[str, str]:
    """What tells gloo to use the interface that leads nowhere else, `lo` or `lo0`, where its name can be found."""
    names = [name for _, name in socket.if_nameindex() if name.startswith("lo")] if os.name == "posix" else []
    return {"GLOO_SOCKET_IFNAME": names[0]} if names else {}


def _end(processes: list[Any]) -> None:
    for process in processes:
        process.kill()
        process.wait()


def _printed(folder: Path, rank: int) -> str:
    """What a process has raised, if it shows an exception; else the end of what it has printed."""
    text = (folder / f"printed{rank}.txt").read_text(encoding="utf-8", errors="replace").strip()
    raised = _RAISED.search(text)
    return textwrap.shorten(raised[0], _QUOTED, placeholder="...") if raised else text[-_QUOTED:]


def _check(statuses: list[int], printed: list[str]) -> None:
    """Each process must have come to its end; what happened to one of them tells what the other ones say."""
    if CANNOT in statuses:
        raise NotApplicableError(f"two processes cannot train together here: {printed[statuses.index(CANNOT)]}")
    wrong = [
        f"process {rank} of {WORLD} ended with exit status {status}, after it had printed\n{printed[rank]}"
        for rank, status in enumerate(statuses)
        if status
    ]
    if wrong:
        raise CheckFailedError("\n".join(wrong))
