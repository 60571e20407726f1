"""Classify handwritten digits row by row: train every installed kind on scikit-learn's 1,797 images of 8x8 pixels.

An image is a sequence of 8 steps with 8 features, from its top row to its bottom row. Prints a table and saves a
picture of the learning curves. Needs the extra `examples`; `python digits.py --help` lists what can be changed.
"""

import argparse
import time
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib import pyplot as plt
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from rnnkit import RecurrentModel, RecurrentSpec, build_model, current_catalog, list_kinds


@dataclass
class Run:
    """Result of training one kind."""

    kind: str
    parameters: int
    accuracies: list[float] = field(default_factory=list)  # on the test images, after each epoch
    seconds: float = 0.0


def load_data() -> tuple[TensorDataset, TensorDataset]:
    """Images `(8, 8)` with their digits: three quarters to train with, one quarter to test."""
    digits = load_digits()
    x = torch.tensor(digits.images / 16, dtype=torch.float32)
    y = torch.tensor(digits.target)
    train, test = train_test_split(range(len(x)), test_size=0.25, random_state=0, stratify=y)
    return TensorDataset(x[train], y[train]), TensorDataset(x[test], y[test])


def train_epoch(
    model: RecurrentModel, optimizer: torch.optim.Optimizer, batches: DataLoader[tuple[Tensor, ...]]
) -> None:
    model.train()
    for x, y in batches:
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()


@torch.no_grad()
def accuracy(model: RecurrentModel, data: TensorDataset) -> float:
    x, y = data.tensors
    return (model.eval()(x).argmax(dim=1) == y).float().mean().item()


def train(spec: RecurrentSpec, epochs: int, data: tuple[TensorDataset, TensorDataset], progress: Progress) -> Run:
    """Train the model that a spec describes, with the same seed, batches and optimizer for every kind."""
    torch.manual_seed(0)
    training, test = data
    model = build_model(spec)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    batches = DataLoader(training, batch_size=32, shuffle=True)
    run = Run(spec.kind, sum(parameter.numel() for parameter in model.parameters()))
    start = time.perf_counter()
    for _ in progress.track(range(epochs), description=spec.kind):
        train_epoch(model, optimizer, batches)
        run.accuracies.append(accuracy(model, test))
    run.seconds = time.perf_counter() - start
    return run


def print_table(runs: list[Run], console: Console) -> None:
    table = Table("kind", "provider", title="Digits, row by row")
    for heading in ("parameters", "test accuracy", "seconds per epoch"):
        table.add_column(heading, justify="right")
    for run in runs:
        provider = current_catalog().distribution(run.kind)
        figures = f"{run.parameters:,}", f"{run.accuracies[-1]:.1%}", f"{run.seconds / len(run.accuracies):.3f}"
        table.add_row(run.kind, provider, *figures)
    console.print(table)


def save_picture(runs: list[Run], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for number, run in enumerate(runs):
        # `rnn` and `rnn_cell` have identical curves: dashes keep both visible
        style = ("solid", "dashed", "dashdot", "dotted")[number % 4]
        axes.plot(range(1, len(run.accuracies) + 1), run.accuracies, label=run.kind, linestyle=style)
    axes.set(xlabel="epoch", ylabel="test accuracy", title="Digits, row by row", xlim=(1, None), ylim=(None, 1))
    axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=0))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--hidden-size", type=int, default=64)
    parser.add_argument("--picture", type=Path, default=Path("build/digits.png"))
    arguments = parser.parse_args()

    torch.set_num_threads(1)  # models this small are no faster on more, and much slower on a busy machine
    data, console = load_data(), Console()
    with Progress(console=console) as progress:
        runs = [
            train(
                RecurrentSpec(kind=kind, input_size=8, hidden_size=arguments.hidden_size, output_size=10),
                arguments.epochs,
                data,
                progress,
            )
            for kind in list_kinds()
        ]
    print_table(runs, console)
    save_picture(runs, arguments.picture)
    console.print(f"Learning curves: {arguments.picture}")


if __name__ == "__main__":
    main()
