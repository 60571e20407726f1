"""The Mackey-Glass series."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from rnnkit.compare.objective import REGRESSION, Objective
from rnnkit.compare.task import Batch, DatasetTask, Splits
from rnnkit.kind import Paper

SUBSTEPS = 10  # of the integration, for each step of the series
DISCARDED = 1000  # steps until the trajectory is on the attractor
LENGTH, WASHOUT = 300, 100  # steps of a sequence; those without a target, for the state to settle
PARTS = (6000, 2000, 2000)  # steps for training, validation and test, one after another


@dataclass(frozen=True)
class MackeyGlass(DatasetTask):
    """Predict a chaotic series: dx/dt = 0.2 x(t - tau) / (1 + x(t - tau)^10) - 0.1 x.

    The series is tanh(x - 1) at whole times, as in the paper. The training has its first 6,000 steps, the validation
    and the test the next 2,000 steps each.
    """

    ahead: Annotated[int, Field(ge=1, le=1000)] = 84
    """Steps from the last input to the predicted value."""
    tau: Annotated[int, Field(ge=2)] = 17
    """The delay of the equation; 17 makes it mildly chaotic, 30 strongly."""

    name = "mackey_glass"
    summary = "Predict a chaotic series."
    measures = "a nonlinear model of the recent past; reservoirs solve it by a linear regression"
    source = Paper(
        title="Harnessing Nonlinearity: Predicting Chaotic Systems and Saving Energy in Wireless Communication",
        authors="Herbert Jaeger, Harald Haas",
        year=2004,
        link="https://doi.org/10.1126/science.1091277",
    )

    @property
    def objective(self) -> Objective:
        return REGRESSION

    def fields(self) -> Mapping[str, Any]:
        return {"input_size": 1, "output_size": 1, "readout": "all"}

    def load(self) -> Splits:
        return _load(self)


@cache
def _load(task: MackeyGlass) -> Splits:
    series = torch.tanh(integrate(sum(PARTS), task.tau) - 1).float()
    training, validation, test = series.split(PARTS)
    return Splits(
        _sequences(training, task.ahead, every=20),
        _sequences(validation, task.ahead, every=LENGTH - WASHOUT),
        _sequences(test, task.ahead, every=LENGTH - WASHOUT),
    )


def _sequences(series: Tensor, ahead: int, *, every: int) -> Batch:
    """Return the sequences that start at every so many steps."""
    x = series[: len(series) - ahead].unfold(0, LENGTH, every)[..., None]
    target = series[ahead:].unfold(0, LENGTH, every)[..., None].clone()
    target[:, :WASHOUT] = math.nan
    return Batch(x, target)


def integrate(steps: int, tau: int, *, substeps: int = SUBSTEPS) -> Tensor:
    """Return x at whole times, in float64, by the classical Runge-Kutta method; x is 1.2 until time 0.

    Between its steps the delayed value is interpolated linearly.
    """
    dt = 1 / substeps
    past = deque([1.2] * (tau * substeps + 1), maxlen=tau * substeps + 1)
    series = []
    for step in range((steps + DISCARDED) * substeps):
        if step % substeps == 0:
            series.append(past[-1])
        past.append(_runge_kutta(past[-1], past[0], past[1], dt))
    return torch.tensor(series[DISCARDED:], dtype=torch.float64)


def _runge_kutta(x: float, delayed: float, following: float, dt: float) -> float:
    """Return x after a step, during which the delayed value goes from `delayed` to `following`."""
    first, middle, last = (0.2 * each / (1 + each**10) for each in (delayed, (delayed + following) / 2, following))
    k1 = first - 0.1 * x
    k2 = middle - 0.1 * (x + dt / 2 * k1)
    k3 = middle - 0.1 * (x + dt / 2 * k2)
    k4 = last - 0.1 * (x + dt * k3)
    return x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
