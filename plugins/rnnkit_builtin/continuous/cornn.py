"""The kind `cornn`: coupled oscillators, damped and driven by the input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from rnnkit import Cell, Kind, Paper, Problem, RecurrentSpec, StackOptions, cell_kind, hookimpl

RUSCH = Paper(
    title="Coupled Oscillatory Recurrent Neural Network (coRNN): An accurate and (gradient) stable architecture for "
    "learning long time dependencies",
    authors="T. Konstantin Rusch, Siddhartha Mishra",
    year=2021,
    link="https://arxiv.org/abs/2010.00951",
)

TUNING_NOTE = (
    "The paper has no defaults for `dt`, `gamma` and `epsilon`: it tunes them for each task, in the authors' code "
    "between 0.034 and 0.1, 0.2 and 66, and 4.7 and 15. The defaults here suit sequences of tens of steps; use a "
    "smaller `dt` for longer ones, such as 0.05 for 1,000 steps."
)
NAMES_NOTE = (
    "The paper calls the hidden state y: h here is y there. Its damping may read z after or before the update; here it "
    "reads z before the update, as in the authors' code."
)


class CoRNNState(NamedTuple):
    """The state of one layer of a coRNN in one direction."""

    h: Tensor
    """Positions of the oscillators, `(batch, hidden_size)`."""
    z: Tensor
    """Their velocities, `(batch, hidden_size)`."""


class CoRNNOptions(StackOptions):
    """Options of the kind `cornn`."""

    dt: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Step size. `2 * dt * epsilon + dt**2 * gamma` must be below 4, or the state would explode."""
    gamma: Annotated[float, Field(gt=0)] = 1.0
    """Square of the frequency of the oscillators without input."""
    epsilon: Annotated[float, Field(gt=0)] = 1.0
    """Damping of the oscillators."""


class CoRNNCell(Cell):
    """One step of a coRNN; its state is `CoRNNState(h, z)`.

    Attributes:
        weight_ih: `(hidden_size, input_size)`.
        weight_hh: `(hidden_size, hidden_size)`, by which the velocities read the positions.
        weight_zh: `(hidden_size, hidden_size)`, by which the velocities read themselves.
        bias: `(hidden_size,)`, or None.
    """

    State = CoRNNState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dt: float = 0.5,
        gamma: float = 1.0,
        epsilon: float = 1.0,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.dt = dt
        self.gamma = gamma
        self.epsilon = epsilon
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)
        self.weight_zh = self.new_parameter(hidden_size, hidden_size)
        self.bias = self.new_parameter(hidden_size) if bias else None

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)

    def step(self, projected_t: Tensor, state: CoRNNState) -> tuple[Tensor, CoRNNState]:
        force = torch.tanh(projected_t + F.linear(state.h, self.weight_hh) + F.linear(state.z, self.weight_zh))
        z = state.z + self.dt * (force - self.gamma * state.h - self.epsilon * state.z)
        h = state.h + self.dt * z
        return h, CoRNNState(h, z)

    def recurrent_weights(self) -> list[Tensor]:
        return [self.weight_hh, self.weight_zh]

    def symbols(self) -> dict[str, Any]:
        return {
            r"\Delta t": self.dt,
            r"\gamma": self.gamma,
            r"\epsilon": self.epsilon,
            "W": self.weight_hh,
            r"\mathcal{W}": self.weight_zh,
            "V": self.weight_ih,
            "b": 0 if self.bias is None else self.bias,
        }


def check_stability(spec: RecurrentSpec[CoRNNOptions]) -> Iterator[Problem]:
    """Yield a problem if the oscillators without weights are unstable at this step size."""
    dt, gamma, epsilon = spec.options.dt, spec.options.gamma, spec.options.epsilon
    size = 2 * dt * epsilon + dt**2 * gamma
    if size >= 4:
        yield Problem(
            "options.dt",
            f"2 * dt * epsilon + dt**2 * gamma must be below 4, or the state explodes, but is {size:.3g}: use a "
            f"smaller dt than {dt:.3g}",
        )


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            CoRNNCell,
            name="cornn",
            summary="Coupled oscillators, whose gradients neither vanish nor explode at a small step size.",
            keywords=["coupled oscillatory RNN"],
            family="continuous",
            equation=r"""
                z_t &= z_{t-1} + \Delta t (\tanh(V x_t + W h_{t-1} + \mathcal{W} z_{t-1} + b)
                    - \gamma h_{t-1} - \epsilon z_{t-1}) \\
                h_t &= h_{t-1} + \Delta t z_t
            """,
            meanings={
                "h_t": "positions of the oscillators",
                "z_t": "velocities of the oscillators",
                r"\Delta t": "the option `dt`, the step size",
                r"\gamma": "the option `gamma`, which controls the frequency",
                r"\epsilon": "the option `epsilon`, the damping",
            },
            papers=[RUSCH],
            notes=[TUNING_NOTE, NAMES_NOTE],
            options=CoRNNOptions,
            check=check_stability,
        )
    )
