"""The kind `esn`: an echo state network, whose recurrent weights are drawn and not trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from rnnkit import Cell, CellState, Kind, Paper, StackOptions, cell_kind, hookimpl

JAEGER = Paper(
    title='The "echo state" approach to analysing and training recurrent neural networks',
    authors="Herbert Jaeger",
    year=2001,
    link="https://doi.org/10.24406/publica-fhg-291111",
    contribution="the echo state network",
)
LEAK = Paper(
    title="Optimization and applications of echo state networks with leaky-integrator neurons",
    authors="Herbert Jaeger, Mantas Lukoševičius, Dan Popovici, Udo Siewert",
    year=2007,
    link="https://doi.org/10.1016/j.neunet.2007.04.016",
    contribution="the leak rate",
)

TRAINING_NOTE = (
    "Only the readout is trained: by `rnnkit.fit_readout`, which solves a ridge regression, or by gradients."
)
RADIUS_NOTE = (
    "A spectral radius below 1 is neither necessary nor sufficient for the echo state property, by which the state "
    "forgets its start; it is the usual choice, and tasks with a long memory need one close to 1."
)


class ESNOptions(StackOptions):
    """Options of the kind `esn`."""

    spectral_radius: Annotated[float, Field(gt=0, le=10)] = 0.9
    """The largest absolute eigenvalue of the recurrent weights."""
    leak: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Leak rate, in (0, 1]: the part of the state that each step replaces."""
    input_scaling: Annotated[float, Field(gt=0)] = 1.0
    """The largest absolute input weight."""
    bias_scaling: Annotated[float, Field(gt=0)] = 1.0
    """The largest absolute bias."""
    density: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The part of the features of the state that each of them reads, in (0, 1]; at least one feature."""


class ESNCell(Cell):
    """One step of an echo state network; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(hidden_size, input_size)`, a buffer, uniform in +-`input_scaling`.
        weight_hh: `(hidden_size, hidden_size)`, a buffer with `density * hidden_size` values in each row, uniform in
            +-1 and then scaled to the spectral radius.
        bias: `(hidden_size,)`, a buffer, uniform in +-`bias_scaling`, or None.
    """

    weight_ih: Tensor
    weight_hh: Tensor
    bias: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        spectral_radius: float = 0.9,
        leak: float = 1.0,
        input_scaling: float = 1.0,
        bias_scaling: float = 1.0,
        density: float = 0.1,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.leak = leak
        dtype = torch.get_default_dtype() if dtype is None else dtype
        wide = torch.promote_types(dtype, torch.float32)  # narrower ones draw zeros, and have no eigenvalues

        def uniform(*shape: int) -> Tensor:
            return torch.rand(shape, device=device, dtype=wide) * 2 - 1

        count = max(1, round(density * hidden_size))
        self.register_buffer("weight_ih", (input_scaling * uniform(hidden_size, input_size)).to(dtype))
        weight_hh = spectral_radius * _with_unit_radius(uniform(hidden_size, hidden_size), count)
        self.register_buffer("weight_hh", weight_hh.to(dtype))
        self.register_buffer("bias", (bias_scaling * uniform(hidden_size)).to(dtype) if bias else None)

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih, self.bias)

    def step(self, projected_t: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        new = torch.tanh(projected_t + F.linear(state.h, self.weight_hh))
        h = (1 - self.leak) * state.h + self.leak * new
        return h, CellState(h)

    def symbols(self) -> dict[str, Any]:
        bias = 0 if self.bias is None else self.bias
        return {"a": self.leak, "W_{in}": self.weight_ih, "W": self.weight_hh, "b": bias}


def _with_unit_radius(weight: Tensor, count: int) -> Tensor:
    """Return a matrix with `count` values in each row, at random places, and the spectral radius 1."""
    # Each row has a value, so that the features read each other in a circle and the radius is not 0.
    places = torch.rand_like(weight).topk(count, dim=-1).indices
    weight = weight * torch.zeros_like(weight).scatter(-1, places, 1)
    on_cpu = weight if weight.is_meta else weight.cpu()  # other devices may have no eigenvalues
    radius: Tensor = torch.linalg.eigvals(on_cpu).abs().max()
    return weight / radius.to(weight.device)


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            ESNCell,
            name="esn",
            summary="An echo state network: random weights that are not trained, and a readout fitted in one step.",
            keywords=["echo state network", "reservoir computing"],
            family="simple",
            equation=r"h_t = (1 - a) h_{t-1} + a \tanh(W_{in} x_t + W h_{t-1} + b)",
            meanings={
                "a": "the option `leak`, the leak rate",
                "W": "fixed recurrent weights",
                "W_{in}": "fixed input weights",
                "b": "fixed bias",
            },
            papers=[JAEGER, LEAK],
            notes=[TRAINING_NOTE, RADIUS_NOTE],
            options=ESNOptions,
            inapplicable_checks={"loss_decreases": "only the readout is trained, and it would need more units"},
        )
    )
