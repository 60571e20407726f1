"""One of the processes that train a model together: `python -m rnnkit.testing.parallel_worker FOLDER RANK`."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import RecurrentSpec, build_model
from rnnkit._messages import describe_exception

WORLD = 2  # processes
CANNOT = 77  # the exit status where no processes can train together here, whatever the kind
_STEPS = 2  # since it is the second that fails where a parameter had no gradient in the first
_PATIENCE = timedelta(seconds=60)


class Task(NamedTuple):
    """What is trained.

    Attributes:
        spec: of the model.
        weights: which it starts with.
        x: `(batch, time, input_size)`.
        lengths: `(batch,)`.
        goal: what it should put out, `(batch, output_size)`.
    """

    spec: RecurrentSpec[Any]
    weights: dict[str, Tensor]
    x: Tensor
    lengths: Tensor
    goal: Tensor

    def write(self, folder: Path) -> None:
        """Put it where the processes read it."""
        (folder / "spec.json").write_text(self.spec.to_json(), encoding="utf-8")
        torch.save(self._asdict() | {"spec": None}, folder / "task.pt")

    @classmethod
    def read(cls, folder: Path) -> Task:
        """The task in a folder."""
        fields = torch.load(folder / "task.pt", weights_only=True)
        spec = RecurrentSpec.from_json((folder / "spec.json").read_bytes())
        return cls(**fields | {"spec": spec})

    def part(self, rank: int) -> Task:
        """With the rows of one of the processes."""
        x, lengths, goal = (each.chunk(WORLD)[rank] for each in (self.x, self.lengths, self.goal))
        return self._replace(x=x, lengths=lengths, goal=goal)

    def model(self) -> nn.Module:
        """The model, in evaluation, so that its halves can be compared with the whole."""
        model = build_model(self.spec, dtype=self.x.dtype).eval()
        model.load_state_dict(self.weights)
        return model

    def train(self, model: nn.Module) -> dict[str, Tensor]:
        """Train a few steps; the gradients of each, and the parameters afterwards."""
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        found: dict[str, Tensor] = {}
        for step in range(1, _STEPS + 1):
            optimizer.zero_grad()
            F.mse_loss(model(self.x, lengths=self.lengths), self.goal).backward()
            found |= {f"gradient of {name} in step {step}": each for name, each in _gradients(model).items()}
            optimizer.step()
        return found | {f"{_plain(name)} afterwards": each.detach() for name, each in model.named_parameters()}


def _gradients(model: nn.Module) -> dict[str, Tensor]:
    return {_plain(name): each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


def _plain(name: str) -> str:
    """The name of a parameter without what the wrapper puts before it."""
    return name.removeprefix("module.")


def work(folder: Path, rank: int) -> None:
    """Train with a part of the rows, together with the other processes."""
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    task = Task.read(folder).part(rank)
    try:
        store = distributed.FileStore(str(folder / "store"), WORLD)  # type: ignore[attr-defined]  # documented all the same
        distributed.init_process_group("gloo", store=store, rank=rank, world_size=WORLD, timeout=_PATIENCE)
    except RuntimeError as error:
        sys.stderr.write(f"init_process_group raised {describe_exception(error)}")
        sys.exit(CANNOT)
    torch.save(task.train(DistributedDataParallel(task.model())), folder / f"result{rank}.pt")
    with suppress(RuntimeError):  # the other one may have gone already
        distributed.barrier()
    os._exit(0)  # gloo's threads sometimes abort a process that ends in the usual way


if __name__ == "__main__":
    work(Path(sys.argv[1]), int(sys.argv[2]))
