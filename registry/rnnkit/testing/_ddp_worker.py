"""Processes of a DistributedDataParallel run: `python -m rnnkit.testing._ddp_worker FOLDER RANK...`.

A single rank trains in this process. For each of several ranks a process is forked, after torch was imported once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import RecurrentSpec, build_model
from rnnkit._messages import describe_exception

WORLD_SIZE = 2
UNAVAILABLE = 77  # exit status if distributed training does not work on this machine
_STEPS = 2  # a parameter without a gradient in the first step fails in the second
_TIMEOUT = timedelta(seconds=120)


class Task(NamedTuple):
    """The training task: a spec as JSON and initial weights, then input, lengths and target of a batch."""

    spec: str
    weights: dict[str, Tensor]
    x: Tensor
    lengths: Tensor
    goal: Tensor

    def train(self, wrap: Callable[[nn.Module], nn.Module] = lambda model: model) -> dict[str, Tensor]:
        """Train the wrapped model a few steps; returns the gradients of each step and the final parameters."""
        # in evaluation mode: dropout would differ between one process and two
        model = build_model(RecurrentSpec.from_json(self.spec), dtype=self.x.dtype).eval()
        model.load_state_dict(self.weights)
        wrapped, optimizer = wrap(model), torch.optim.SGD(model.parameters(), lr=0.1)
        found: dict[str, Tensor] = {}
        for step in range(1, _STEPS + 1):
            optimizer.zero_grad()
            F.mse_loss(wrapped(self.x, lengths=self.lengths), self.goal).backward()
            given = {name: each.grad for name, each in model.named_parameters() if each.grad is not None}
            found |= {f"gradient of {name} in step {step}": each.clone() for name, each in given.items()}
            optimizer.step()
        return found | {f"{name} afterwards": each.detach() for name, each in model.named_parameters()}


def main(folder: Path, ranks: list[int]) -> None:
    """Run the ranks; if they are forked, write the exit status of each to `status<rank>.txt`."""
    if len(ranks) == 1:
        train_rank(folder, ranks[0])
    import_module("torch._dynamo")  # `torch.optim` imports it later, which takes longer than all other imports
    children = {rank: _fork(folder, rank) for rank in ranks}
    for rank, child in children.items():
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        (folder / f"status{rank}.txt").write_text(str(status), encoding="utf-8")


def _fork(folder: Path, rank: int) -> int:
    """Start a process that trains, and writes its output to `output<rank>.txt`; returns its id."""
    if sys.platform == "win32":
        raise OSError("Windows has no fork: start a process for each rank")
    child = os.fork()
    if child == 0:
        with (folder / f"output{rank}.txt").open("wb") as output:
            os.dup2(output.fileno(), sys.stdout.fileno())
            os.dup2(output.fileno(), sys.stderr.fileno())
        train_rank(folder, rank)
    return child


def train_rank(folder: Path, rank: int) -> NoReturn:
    """Train on the sequences of one process, together with the others, and end the process."""
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    task = Task(**torch.load(folder / "task.pt", weights_only=True))
    task = task._replace(**{name: getattr(task, name).chunk(WORLD_SIZE)[rank] for name in ("x", "lengths", "goal")})
    try:
        store = distributed.FileStore(str(folder / "store"), WORLD_SIZE)  # type: ignore[attr-defined]  # documented, but missing in the stubs
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=WORLD_SIZE, timeout=_TIMEOUT)
    except RuntimeError as error:
        sys.stderr.write(f"init_process_group raised {describe_exception(error)}")
        sys.exit(UNAVAILABLE)
    torch.save(task.train(DistributedDataParallel), folder / f"result{rank}.pt")
    with suppress(RuntimeError):  # the other process may have ended already
        distributed.barrier()
    os._exit(0)  # gloo's threads sometimes abort a process that exits normally


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(each) for each in sys.argv[2:]])
