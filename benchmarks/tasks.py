"""Train kinds on small tasks for which theory, or a robust finding, predicts the order of families.

Run with `python -m benchmarks.tasks`. Every kind has the same sizes, number of optimizer steps and learning rate, and
nothing is tuned: the results show which tasks are easy for a kind, not the best that it can do.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torch.nn import functional as F

from benchmarks.machine import describe
from rnnkit import RecurrentModel, RecurrentSpec, build_model, constrain_, get_kind, list_kinds
from rnnkit.options import StackOptions

HIDDEN_SIZE, LAYERS, BATCH, STEPS, LEARNING_RATE = 32, 2, 32, 400, 4e-3
SYMBOLS, COPIED, GAP = 8, 5, 30
PAIRS, KEYS = 6, 12

Data = tuple[Tensor, Tensor]


class Task(NamedTuple):
    """A task: the fields of a spec, batches to train and to test on, a loss, and a score between 0 and 1.

    Attributes:
        fields: the fields of the spec other than the sizes of the network.
        training: returns an input and a target.
        test: the same for the test, which may be longer.
        loss: of outputs and targets.
        score: of outputs and targets; higher is better.
        chance: the score of the best constant answer.
    """

    fields: dict[str, Any]
    training: Callable[[], Data]
    test: Callable[[], Data]
    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor, Tensor], float]
    chance: float


def parity(length: int, batch: int = BATCH) -> Data:
    """Return bits, and at each step whether the number of ones so far is odd."""
    bits = torch.randint(2, (batch, length))
    return 2.0 * bits[..., None] - 1, bits.cumsum(1) % 2


def adding(length: int = 100, batch: int = BATCH) -> Data:
    """Return numbers and two marks, and the sum of the two marked numbers."""
    numbers, marks = torch.rand(batch, length), torch.zeros(batch, length)
    half = length // 2
    first, second = torch.randint(half, (batch,)), torch.randint(half, length, (batch,))
    rows = torch.arange(batch)
    marks[rows, first] = marks[rows, second] = 1
    return torch.stack([numbers, marks], -1), (numbers * marks).sum(1, keepdim=True)


def copying(batch: int = BATCH) -> Data:
    """Return symbols, a gap and a request; the symbols are to be repeated after the request."""
    symbols = torch.randint(SYMBOLS, (batch, COPIED))
    blank, request = torch.full((batch, GAP), SYMBOLS), torch.full((batch, COPIED), SYMBOLS + 1)
    return torch.cat([symbols, blank, request], 1), symbols


def recall(batch: int = BATCH) -> Data:
    """Return pairs of a key and a value, and one of the keys again; its value is the answer."""
    keys = torch.rand(batch, KEYS).argsort(1)[:, :PAIRS]
    values = torch.randint(KEYS, 2 * KEYS, (batch, PAIRS))
    asked = torch.randint(PAIRS, (batch, 1))
    tokens = torch.stack([keys, values], -1).flatten(1)
    return torch.cat([tokens, keys.gather(1, asked)], 1), values.gather(1, asked)[:, 0] - KEYS


def _cross_entropy(output: Tensor, target: Tensor) -> Tensor:
    """Return the cross-entropy of the last steps, as many as there are targets."""
    last = output[:, -target.shape[1] :] if target.dim() == 2 else output[:, None]
    return F.cross_entropy(last.flatten(0, 1), target.flatten())


def _accuracy(output: Tensor, target: Tensor) -> float:
    last = output[:, -target.shape[1] :] if target.dim() == 2 else output
    return (last.argmax(-1) == target).float().mean().item()


def _parity_accuracy(output: Tensor, target: Tensor) -> float:
    """Return the accuracy in the second half, beyond the lengths of training."""
    half = target.shape[1] // 2
    return _accuracy(output[:, half:], target[:, half:])


TASKS = {
    "parity": Task(
        {"input_size": 1, "output_size": 2, "readout": "all"},
        lambda: parity(int(torch.randint(1, 41, ()))),
        lambda: parity(256, 64),
        _cross_entropy,
        _parity_accuracy,
        chance=0.5,
    ),
    "adding": Task(
        {"input_size": 2, "output_size": 1},
        adding,
        lambda: adding(batch=256),
        F.mse_loss,
        lambda output, target: 1 - ((output - target).square().mean() / target.var()).item(),  # explained variance
        chance=0.0,
    ),
    "copying": Task(
        {"input_size": 16, "num_embeddings": SYMBOLS + 2, "output_size": SYMBOLS, "readout": "all"},
        copying,
        lambda: copying(256),
        _cross_entropy,
        _accuracy,
        chance=1 / SYMBOLS,
    ),
    "recall": Task(
        {"input_size": 16, "num_embeddings": 2 * KEYS, "output_size": KEYS},
        recall,
        lambda: recall(256),
        _cross_entropy,
        _accuracy,
        chance=1 / KEYS,
    ),
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tasks", description=str(__doc__).splitlines()[0])
    parser.add_argument("--kinds", nargs="+", default=[name for name in list_kinds("rnnkit/*") if _is_stack(name)])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--steps", type=int, default=STEPS, help=f"optimizer steps (default: {STEPS})")
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds, of which the best counts (default: 1)")
    parser.add_argument("--json", type=Path, default=Path("build/tasks.json"))
    return parser.parse_args()


def _is_stack(name: str) -> bool:
    return issubclass(get_kind(name).options, StackOptions) and name != "mixed"


def trained(kind: str, task: Task, steps: int, seed: int, **options: Any) -> RecurrentModel:
    """Return a model of a kind, trained on a task."""
    torch.manual_seed(seed)
    spec = RecurrentSpec(kind=kind, hidden_size=HIDDEN_SIZE, num_layers=LAYERS, options=options, **task.fields)
    model = build_model(spec)
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    for _ in range(steps):
        x, target = task.training()
        optimizer.zero_grad()
        task.loss(model(x), target).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        constrain_(model)
    return model.eval()


@torch.no_grad()
def score(model: RecurrentModel, task: Task) -> float:
    """Return the score of a model on the test of a task."""
    torch.manual_seed(12345)
    x, target = task.test()
    return task.score(model(x), target)


def main() -> None:
    arguments = parse_arguments()
    console = Console(width=max(100, Console().width))
    torch.set_num_threads(1)
    console.print(describe())
    table = Table("kind", *arguments.tasks)
    table.add_row("chance", *[f"{TASKS[name].chance:.2f}" for name in arguments.tasks])
    results: dict[str, dict[str, float]] = {}
    for kind in arguments.kinds:
        results[kind] = {
            name: max(
                score(trained(kind, TASKS[name], arguments.steps, seed), TASKS[name]) for seed in range(arguments.seeds)
            )
            for name in arguments.tasks
        }
        table.add_row(kind, *[f"{value:.2f}" for value in results[kind].values()])
        console.print(f"{kind}: {results[kind]}")
    console.print(table)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    content = {"machine": describe(), "steps": arguments.steps, "seeds": arguments.seeds, "scores": results}
    arguments.json.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
