"""The demo task: classify scikit-learn's 1,797 images of handwritten digits, read row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from sklearn import datasets, model_selection
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

INPUT_SIZE, OUTPUT_SIZE = 8, 10
HIDDEN_SIZE = 64
EPOCHS = 15
LEARNING_RATE = 5e-3
_BATCH_SIZE = 32

Data = tuple[TensorDataset, TensorDataset]


def load_digits() -> Data:
    """Return the training set (three quarters) and the test set: images `(8, 8)` and their classes."""
    digits: Any = datasets.load_digits()
    x = torch.tensor(digits.images / 16, dtype=torch.float32)
    y = torch.tensor(digits.target)
    train, test = model_selection.train_test_split(range(len(x)), test_size=0.25, random_state=0, stratify=y)
    return TensorDataset(x[train], y[train]), TensorDataset(x[test], y[test])


def train_on_digits(build: Callable[[], nn.Module], data: Data, epochs: int = EPOCHS) -> tuple[float, ...]:
    """Train the model that `build` returns, with a fixed seed; return the test accuracy after each epoch."""
    torch.manual_seed(0)
    training, test = data
    model = build()
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    batches = DataLoader(training, batch_size=_BATCH_SIZE, shuffle=True)
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
