"""The training loop of a comparison: the same for every kind."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Generator

from rnnkit.cells.constraint import constrain_
from rnnkit.compare.task import Batch, Task
from rnnkit.model import RecurrentModel

Status = Literal["finished", "stopped", "diverged", "failed", "skipped"]
LEARNING_RATE = 4e-3


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a model is trained.

    By Adam, with gradients clipped to a norm, and a learning rate that rises for a twentieth of the training and then
    falls to zero as a cosine.

    Attributes:
        steps: the number of optimizer steps.
        batch_size: sequences of each step.
        learning_rate: the highest learning rate.
        seconds: train for this time instead of a number of steps, evaluation not counted; None: for `steps`.
        limit: stop after this time, in seconds; None: never.
        clip: the largest norm of the gradient.
        points: points of the learning curve.
    """

    steps: int
    batch_size: int
    learning_rate: float = LEARNING_RATE
    seconds: float | None = None
    limit: float | None = None
    clip: float = 1.0
    points: int = 20

    def progress(self, step: int, seconds: float) -> float:
        """Return how much of the training is done, from 0 to 1."""
        return min(1.0, step / self.steps if self.seconds is None else seconds / self.seconds)

    def rate(self, progress: float) -> float:
        """Return the learning rate, `progress` being in [0, 1]."""
        return self.learning_rate * min(1.0, (progress + 1e-3) / 0.05) * (1 + math.cos(math.pi * progress)) / 2


class Point(NamedTuple):
    """A point of a learning curve: the step, the seconds of training so far, the loss, and the validation score."""

    step: int
    seconds: float
    loss: float
    score: float


class Trained(NamedTuple):
    """How a training ended: its status, its steps, its seconds, and its learning curve."""

    status: Status
    steps: int
    seconds: float
    curve: list[Point]


def train(model: RecurrentModel, task: Task, training: Training, generator: Generator) -> Trained:
    """Train a model on a task, in place."""
    parameters = [each for each in model.parameters() if each.requires_grad]
    optimizer = torch.optim.Adam(parameters)
    validation, curve = task.validation(), list[Point]()
    step, seconds, progress = 0, 0.0, 0.0
    while progress < 1:
        started = time.perf_counter()
        optimizer.param_groups[0]["lr"] = training.rate(progress)
        batch = task.training_batch(training.batch_size, generator)
        loss = task.objective.loss(model(batch.x, lengths=batch.lengths), batch.target)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, training.clip)
        optimizer.step()
        constrain_(model)  # for the kinds whose paper bounds parameters
        step, seconds = step + 1, seconds + time.perf_counter() - started
        progress = training.progress(step, seconds)
        if not loss.isfinite():
            return Trained("diverged", step, seconds, curve)
        if progress * training.points >= len(curve) + 1:
            curve.append(Point(step, seconds, loss.item(), evaluate(model, task, validation)))
        if training.limit is not None and seconds > training.limit and progress < 1:
            return Trained("stopped", step, seconds, curve)
    return Trained("finished", step, seconds, curve)


@torch.no_grad()
def evaluate(model: RecurrentModel, task: Task, batch: Batch) -> float:
    """Return the score of a model, without dropout."""
    model.eval()
    score = task.objective.score(model(batch.x, lengths=batch.lengths), batch.target)
    model.train()
    return float(score)  # an objective of a plugin may return a tensor, which a file of results cannot hold
