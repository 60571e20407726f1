"""The demo task: scikit-learn's 1,797 images of handwritten digits, read row by row."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from rnnkit.errors import RnnkitError

INPUT_SIZE, OUTPUT_SIZE = 8, 10
HIDDEN_SIZE = 64
EPOCHS = 15
LEARNING_RATE = 5e-3
_BATCH = 32

Data = tuple[TensorDataset, TensorDataset]


def load_digits() -> Data:
    """Images `(8, 8)` with their digits: three quarters to train with, one quarter to test.

    Raises:
        RnnkitError: scikit-learn, which has the images, is not installed.
    """
    datasets, selection = _scikit_learn("datasets"), _scikit_learn("model_selection")
    digits = datasets.load_digits()
    x = torch.tensor(digits.images / 16, dtype=torch.float32)
    y = torch.tensor(digits.target)
    train, test = selection.train_test_split(range(len(x)), test_size=0.25, random_state=0, stratify=y)
    return TensorDataset(x[train], y[train]), TensorDataset(x[test], y[test])


def _scikit_learn(module: str) -> Any:
    try:
        return import_module(f"sklearn.{module}")
    except ImportError as error:
        raise RnnkitError(
            "A learning curve needs scikit-learn, which has the images of the demo task: `pip install scikit-learn`"
        ) from error


def learn(build: Callable[[], nn.Module], data: Data, epochs: int = EPOCHS) -> tuple[float, ...]:
    """The accuracies on the test images after each epoch, of a model that is built after a seed of its own."""
    torch.manual_seed(0)
    training, test = data
    model = build()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    batches = DataLoader(training, batch_size=_BATCH, shuffle=True)
    return tuple(_accuracy_after_epoch(model, optimizer, batches, test) for _ in range(epochs))


def _accuracy_after_epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, batches: DataLoader[tuple[Tensor, ...]], test: TensorDataset
) -> float:
    model.train()
    for x, y in batches:
        optimizer.zero_grad()
        cross_entropy(model(x), y).backward()
        optimizer.step()
    return _accuracy(model.eval(), *test.tensors)


@torch.no_grad()
def _accuracy(model: nn.Module, x: Tensor, y: Tensor) -> float:
    accuracy: float = (model(x).argmax(dim=1) == y).float().mean().item()
    return accuracy
