"""The kind `lru`: the linear recurrent unit, a complex diagonal recurrence with a prescribed start."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from rnnkit import Kind, Paper, Problem, RecurrentSpec, cell_kind, hookimpl
from rnnkit_builtin.linear._state_space import GLU_MEANING, GLU_NOTE, SKIP_NOTE, StateSpaceCell, StateSpaceOptions

ORVIETO = Paper(
    title="Resurrecting Recurrent Neural Networks for Long Sequences",
    authors="Antonio Orvieto, Samuel L. Smith, Albert Gu, Anushan Fernando, Caglar Gulcehre, Razvan Pascanu, Soham De",
    year=2023,
    link="https://arxiv.org/abs/2303.06349",
)

START_NOTE = (
    "With the default ring, half of the states halve within two steps. For long sequences the paper narrows it, as in "
    "`r_min=0.9`, `r_max=0.999` and `max_phase=0.314`."
)
DECAY_NOTE = "Exclude nu, theta and gamma from weight decay, which would pull |lambda| towards exp(-1) = 0.37."


class LRUOptions(StateSpaceOptions):
    """Options of the kind `lru`."""

    r_min: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Smallest |λ| at the start."""

    r_max: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Largest |λ| at the start."""

    max_phase: Annotated[float, Field(gt=0, le=2 * math.pi)] = 2 * math.pi
    """Largest phase of λ at the start, in radians."""


class LRUCell(StateSpaceCell):
    """One step of the linear recurrent unit; its state is `ComplexState(re, im)`, `(batch, state_size)` each.

    Attributes:
        log_nu: `(state_size,)`; |λ| = exp(-exp(log_nu)).
        log_theta: `(state_size,)`; exp(log_theta) is the phase of λ.
        log_gamma: `(state_size,)`; exp(log_gamma) scales the input.
        weight_ih: `(2 * state_size, input_size)`; the real parts of B, then the imaginary parts.
        weight_out: `(2 * hidden_size, state_size)`; the real parts of C, then the imaginary parts.
        weight_skip: `(hidden_size, input_size)`; D.
        weight_glu: `(2 * hidden_size, hidden_size)`; the rows of the values v, then those of the gates g. None with
            `output="none"`.
        bias: `(2 * hidden_size,)`; that of v and g. None with `output="none"`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        state_size: int | None = None,
        output: str = "glu",
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 2 * math.pi,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, state_size=state_size, output=output, bias=bias, device=device, dtype=dtype
        )
        self.log_nu = self.new_parameter(self.state_size)
        self.log_theta = self.new_parameter(self.state_size)
        self.log_gamma = self.new_parameter(self.state_size)
        self._initialize(r_min, r_max, max_phase)

    @torch.no_grad()
    def _initialize(self, r_min: float, r_max: float, max_phase: float) -> None:
        """Draw λ uniformly from the area of a ring, as in section 3.2 of the paper."""
        wide = torch.promote_types(self.log_nu.dtype, torch.float32)
        radius, phase = (
            torch.empty_like(self.log_nu, dtype=wide).uniform_(1e-6, 1 - 1e-6)  # without zeros, whose logarithm is -∞
            for _ in range(2)
        )
        limits = torch.finfo(wide)
        squared = radius * (r_max**2 - r_min**2) + r_min**2
        log_squared = torch.log(squared.clamp(limits.tiny, 1 - limits.eps))  # a narrow ring is rounded to 0 or 1
        self.log_nu.copy_(torch.log(-log_squared / 2))
        self.log_theta.copy_(torch.log(phase) + math.log(max_phase))
        self.log_gamma.copy_(torch.log(-torch.expm1(log_squared)) / 2)
        nn.init.normal_(self.weight_ih, std=(2 * self.input_size) ** -0.5)
        nn.init.normal_(self.weight_out, std=self.state_size**-0.5)
        nn.init.normal_(self.weight_skip, std=self.input_size**-0.5)

    def recurrence(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        size, phase = torch.exp(-torch.exp(self.log_nu)), torch.exp(self.log_theta)
        b_re, b_im = (torch.exp(self.log_gamma)[:, None] * part for part in self.weight_ih.chunk(2))
        return size * torch.cos(phase), size * torch.sin(phase), b_re, b_im

    def symbols(self) -> dict[str, Any]:
        parameters = {r"\nu": self.log_nu, r"\theta": self.log_theta, r"\gamma": self.log_gamma}
        return {**super().symbols(), **parameters, "B": torch.complex(*self.weight_ih.chunk(2))}


def check_ring(spec: RecurrentSpec[Any]) -> Iterator[Problem]:
    r_min, r_max = spec.options.r_min, spec.options.r_max
    if r_min >= r_max:
        yield Problem("options.r_min", f"r_min={r_min} is not below r_max={r_max}; lower r_min or raise r_max")


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            LRUCell,
            name="lru",
            summary="The linear recurrent unit: slow and fast rotations of its state, for long sequences.",
            keywords=["linear recurrent unit"],
            family="linear",
            equation=r"""
                \lambda &= \exp(-\exp(\nu) + i \exp(\theta)) \\
                s_t &= \lambda \odot (\mathrm{re}_{t-1} + i\, \mathrm{im}_{t-1}) + \exp(\gamma) \odot (B x_t) \\
                \mathrm{re}_t &= \Re(s_t) \\
                \mathrm{im}_t &= \Im(s_t) \\
                y_t &= \mathrm{GLU}(\Re(C s_t) + D x_t)
            """,
            meanings={
                "B": "complex input matrix",
                "C": "complex output matrix",
                "i": "imaginary unit",
                r"\lambda": "what a step multiplies the state with: its decay and rotation",
                r"\nu": "logarithm of the rate of decay",
                r"\theta": "logarithm of the angle of rotation",
                r"\gamma": "logarithm of the scale of the input, which starts at sqrt(1 - |lambda|^2)",
                "s_t": "complex state",
                r"\mathrm{GLU}": GLU_MEANING,
            },
            papers=[ORVIETO],
            notes=[GLU_NOTE, SKIP_NOTE, START_NOTE, DECAY_NOTE],
            options=LRUOptions,
            check=check_ring,
        )
    )
