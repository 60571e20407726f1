"""The kind `unicornn`: undamped oscillators without connections inside a layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Cell, Kind, Paper, PerLayer, Problem, RecurrentSpec, StackOptions, cell_kind, hookimpl

RUSCH = Paper(
    title="UnICORNN: A recurrent model for learning very long time dependencies",
    authors="T. Konstantin Rusch, Siddhartha Mishra",
    year=2021,
    link="https://arxiv.org/abs/2103.05487",
)

TUNING_NOTE = (
    "The paper has no defaults for `dt` and `alpha`: it tunes them for each task, in the authors' code between 0.00003 "
    "and 0.2, and 0 and 31, sometimes with other steps in each layer. The defaults here suit sequences of tens of "
    "steps; use a smaller `dt` for longer ones, such as 0.2 for 1,000 steps."
)
MEMORY_NOTE = (
    "The authors' code computes the states again in the backward pass, from the last one to the first, in place of "
    "storing them. rnnkit stores them."
)
NAMES_NOTE = "The paper calls the hidden state y: h here is y there."


class UnICORNNState(NamedTuple):
    """The state of one layer of a UnICORNN in one direction."""

    h: Tensor
    """Positions of the oscillators, `(batch, hidden_size)`."""
    z: Tensor
    """Their velocities, `(batch, hidden_size)`."""


class UnICORNNOptions(StackOptions):
    """Options of the kind `unicornn`."""

    dt: PerLayer[Annotated[float, Field(gt=0, le=1)]] = 0.5
    """The largest step size; one number, or a tuple with one for each layer. `dt**2 * alpha` must be below 4, or the
    state would explode."""
    alpha: Annotated[float, Field(ge=0)] = 1.0
    """Square of the frequency of the oscillators without input."""


class UnICORNNCell(Cell):
    """One step of a UnICORNN; its state is `UnICORNNState(h, z)`.

    Attributes:
        weight_ih: `(hidden_size, input_size)`.
        weight_hh: `(hidden_size,)`, by which each oscillator reads its own position; uniform in [0, 1] at the start.
        time_scale: `(hidden_size,)`, whose sigmoid scales the step size of each oscillator; uniform in +-0.1 at the
            start.
        bias: `(hidden_size,)`, zeros at the start, or None.
    """

    State = UnICORNNState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        dt: float = 0.5,
        alpha: float = 1.0,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.dt = dt
        self.alpha = alpha
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size)
        self.time_scale = self.new_parameter(hidden_size)
        self.bias = self.new_parameter(hidden_size) if bias else None
        nn.init.kaiming_uniform_(self.weight_ih, a=8)
        nn.init.uniform_(self.weight_hh, 0, 1)
        nn.init.uniform_(self.time_scale, -0.1, 0.1)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def prepare(self) -> Tensor:
        return self.dt * torch.sigmoid(self.time_scale)

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)

    def step(self, projected_t: tuple[Tensor, Tensor], state: UnICORNNState) -> tuple[Tensor, UnICORNNState]:
        x, dt = projected_t
        z = state.z - dt * (torch.tanh(self.weight_hh * state.h + x) + self.alpha * state.h)
        h = state.h + dt * z
        return h, UnICORNNState(h, z)

    def symbols(self) -> dict[str, Any]:
        return {
            r"\Delta t": self.dt,
            r"\alpha": self.alpha,
            "V": self.weight_ih,
            "w": self.weight_hh,
            "c": self.time_scale,
            "b": 0 if self.bias is None else self.bias,
        }


def check_stability(spec: RecurrentSpec[UnICORNNOptions]) -> Iterator[Problem]:
    """Yield a problem if the oscillators without weights are unstable at a step size."""
    dt, alpha = spec.options.dt, spec.options.alpha
    largest = max(dt) if isinstance(dt, tuple) else dt
    if largest**2 * alpha >= 4:
        yield Problem(
            "options.dt",
            f"dt**2 * alpha must be below 4, or the state explodes, but is {largest**2 * alpha:.3g}: use a smaller dt "
            f"than {largest:.3g}",
        )


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            UnICORNNCell,
            name="unicornn",
            summary="Undamped oscillators, each reading only itself, for sequences of ten thousands of steps.",
            keywords=["undamped independent controlled oscillatory RNN"],
            family="continuous",
            equation=r"""
                z_t &= z_{t-1} - \Delta t \, \sigma(c) \odot
                    (\tanh(w \odot h_{t-1} + V x_t + b) + \alpha h_{t-1}) \\
                h_t &= h_{t-1} + \Delta t \, \sigma(c) \odot z_t
            """,
            meanings={
                "h_t": "positions of the oscillators",
                "z_t": "velocities of the oscillators",
                r"\Delta t": "the option `dt`, the largest step size",
                "c": "learned scale of the step size, one for each oscillator",
                r"\alpha": "the option `alpha`, which controls the frequency",
            },
            papers=[RUSCH],
            notes=[TUNING_NOTE, MEMORY_NOTE, NAMES_NOTE],
            options=UnICORNNOptions,
            check=check_stability,
        )
    )
