"""The kind `s5`: a state space model with a prescribed, diagonal transition, in discrete time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from rnnkit import Kind, Paper, cell_kind, hookimpl
from rnnkit_builtin.linear._state_space import GLU_MEANING, GLU_NOTE, SKIP_NOTE, StateSpaceCell, StateSpaceOptions

SMITH = Paper(
    title="Simplified State Space Layers for Sequence Modeling",
    authors="Jimmy T. H. Smith, Andrew Warrington, Scott W. Linderman",
    year=2023,
    link="https://arxiv.org/abs/2208.04933",
)
GU = Paper(
    title="On the Parameterization and Initialization of Diagonal State Space Models",
    authors="Albert Gu, Ankit Gupta, Karan Goel, Christopher Ré",
    year=2022,
    link="https://arxiv.org/abs/2206.11893",
    contribution="the starts `lin` and `inv`",
)

PAIRS_NOTE = (
    "Each state stands for a pair of conjugates, as in the authors' code: hence the factor 2. s5-pytorch 0.2.1 stores "
    "both of each pair, without the factor."
)
CLIP_NOTE = "The real part of Lambda is at most -0.0001, which the authors' code has as an option."
LARGEST_REAL_PART = -1e-4


class S5Options(StateSpaceOptions):
    """Options of the kind `s5`."""

    start: Literal["legs", "lin", "inv"] = "legs"
    """Lambda at the start: the eigenvalues of the normal part of HiPPO-LegS, or S4D-Lin or S4D-Inv."""

    discretization: Literal["zoh", "bilinear"] = "zoh"
    """Zero-order hold, or the bilinear transform."""

    step_scale: Annotated[float, Field(gt=0, le=1000)] = 1.0
    """Factor of all step sizes, such as 2 for input of half the sampling rate."""


class S5Cell(StateSpaceCell):
    """One step of the simplified state space layer; its state is `ComplexState(re, im)`, `(batch, state_size)` each.

    Attributes:
        eigenvalues: `(2, state_size)`; the real parts of Lambda, then the imaginary parts.
        log_step: `(state_size,)`; the logarithm of the step size of each state.
        weight_ih: `(2 * state_size, input_size)`; the real parts of B, then the imaginary parts.
        weight_out: `(2 * hidden_size, state_size)`; the real parts of C, then the imaginary parts.
        weight_skip: `(hidden_size, input_size)`; D.
        weight_glu: `(2 * hidden_size, hidden_size)`; the rows of the values v, then those of the gates g. None with
            `output="none"`.
        bias: `(2 * hidden_size,)`; that of v and g. None with `output="none"`.
    """

    multiplicity: ClassVar[int] = 2

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        state_size: int | None = None,
        output: str = "glu",
        start: str = "legs",
        discretization: str = "zoh",
        step_scale: float = 1.0,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            input_size, hidden_size, state_size=state_size, output=output, bias=bias, device=device, dtype=dtype
        )
        self.discretization = discretization
        self.step_scale = step_scale
        self.eigenvalues = self.new_parameter(2, self.state_size)
        self.log_step = self.new_parameter(self.state_size)
        self._initialize(start)

    @torch.no_grad()
    def _initialize(self, start: str) -> None:
        size, device = self.state_size, "meta" if self.log_step.is_meta else "cpu"  # others may have no float64
        nn.init.uniform_(self.log_step, math.log(0.001), math.log(0.1))
        nn.init.normal_(self.weight_ih, std=(4 * size) ** -0.5)
        nn.init.normal_(self.weight_out, std=(2 * size) ** -0.5)
        nn.init.normal_(self.weight_skip, std=self.input_size**-0.5)
        if start == "legs":
            eigenvalues, vectors = legs(size, device)
            self._draw_in_basis(vectors)
        else:
            eigenvalues = s4d(size, start, device)
        self.eigenvalues.copy_(torch.stack([eigenvalues.real, eigenvalues.imag]))

    def _draw_in_basis(self, vectors: Tensor) -> None:
        """Draw B and C of the real state of 2 N features, and write them in the basis of its eigenvectors."""
        wide = torch.promote_types(self.weight_ih.dtype, torch.float32)
        basis = vectors.to(device=self.weight_ih.device, dtype=wide.to_complex())
        size = len(vectors)
        b = torch.randn(size, self.input_size, device=basis.device, dtype=wide) / math.sqrt(size)
        c = torch.randn(self.hidden_size, size, device=basis.device, dtype=basis.dtype) * math.sqrt(2 / size)
        for weight, values in [(self.weight_ih, basis.mH @ b.to(basis.dtype)), (self.weight_out, c @ basis)]:
            weight.copy_(torch.cat([values.real, values.imag]))

    def recurrence(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        discretize = zero_order_hold if self.discretization == "zoh" else bilinear
        a_re, a_im, scale_re, scale_im = (part.to(self.weight_ih) for part in discretize(*self._continuous()))
        b_re, b_im = self.weight_ih.chunk(2)
        scale_re, scale_im = scale_re[:, None], scale_im[:, None]
        return a_re, a_im, scale_re * b_re - scale_im * b_im, scale_re * b_im + scale_im * b_re

    def _continuous(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the real and the imaginary part of Lambda, and the step sizes, `(state_size,)` each."""
        # The imaginary parts reach 1.3 state_size^2, whose squares overflow in float16 from 15 states on. From 227
        # states on, they overflow themselves: they are stored as infinity, and count as the largest number.
        wide, largest = torch.promote_types(self.log_step.dtype, torch.float32), torch.finfo(self.eigenvalues.dtype).max
        re, im = self.eigenvalues.to(wide).clamp(-largest, largest)
        return re.clamp(max=LARGEST_REAL_PART), im, self.step_scale * torch.exp(self.log_step.to(wide))

    def symbols(self) -> dict[str, Any]:
        a_re, a_im, b_re, b_im = self.recurrence()
        discrete = {r"\bar{\Lambda}": torch.complex(a_re, a_im), r"\bar{B}": torch.complex(b_re, b_im)}
        return {**super().symbols(), **discrete}


def zero_order_hold(re: Tensor, im: Tensor, step: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return exp(z) and step (exp(z) - 1) / z for z = step (re + i im), each as its real and its imaginary part."""
    decay, angle = torch.exp(re * step), im * step
    # exp(z) - 1 without a difference of almost equal numbers
    a_re = torch.expm1(re * step) * torch.cos(angle) - 2 * torch.sin(angle / 2) ** 2
    a_im = decay * torch.sin(angle)
    scale_re, scale_im = divide(a_re, a_im, re, im)
    return a_re + 1, a_im, scale_re, scale_im


def bilinear(re: Tensor, im: Tensor, step: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return (1 + z / 2) / (1 - z / 2) and step / (1 - z / 2) for z = step (re + i im), each in two real parts."""
    re, im = re * step / 2, im * step / 2
    return *divide(1 + re, im, 1 - re, -im), *divide(step, torch.zeros_like(step), 1 - re, -im)


def divide(re: Tensor, im: Tensor, by_re: Tensor, by_im: Tensor) -> tuple[Tensor, Tensor]:
    """Return the real and the imaginary part of the quotient of two complex numbers."""
    square = by_re**2 + by_im**2
    return (re * by_re + im * by_im) / square, (im * by_re - re * by_im) / square


def legs(size: int, device: str) -> tuple[Tensor, Tensor]:
    """Return one of each pair of eigenvalues of the normal part of HiPPO-LegS with 2 N states, and its eigenvectors.

    That part is -1/2 plus an antisymmetric matrix.

    Returns:
        The eigenvalues, `(size,)`, and the eigenvectors, `(2 * size, size)`, both complex128.
    """
    root = torch.sqrt(torch.arange(2 * size, device=device, dtype=torch.float64) + 0.5)
    product = torch.outer(root, root)
    antisymmetric = product.triu(1) - product.tril(-1)
    angles, vectors = torch.linalg.eigh(-1j * antisymmetric)  # in ascending order: the negative ones first
    return torch.complex(torch.full_like(angles, -0.5), angles)[:size], vectors[:, :size]


def s4d(size: int, start: str, device: str) -> Tensor:
    """Return the eigenvalues S4D-Lin or S4D-Inv of Gu et al., 2022, one of each pair of conjugates."""
    n, states = torch.arange(size, device=device, dtype=torch.float64), 2 * size
    imaginary = math.pi * n if start == "lin" else states / math.pi * (states / (2 * n + 1) - 1)
    return torch.complex(torch.full_like(n, -0.5), imaginary)


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            S5Cell,
            name="s5",
            summary="A state space model, whose slow and fast oscillations remember long sequences of signals.",
            keywords=["state space model"],
            family="linear",
            equation=r"""
                s_t &= \bar{\Lambda} \odot (\mathrm{re}_{t-1} + i\, \mathrm{im}_{t-1}) + \bar{B} x_t \\
                \mathrm{re}_t &= \Re(s_t) \\
                \mathrm{im}_t &= \Im(s_t) \\
                y_t &= \mathrm{GLU}(2 \Re(C s_t) + D x_t)
            """,
            meanings={
                "C": "complex output matrix",
                "i": "imaginary unit",
                r"\bar{\Lambda}": "exp(Lambda Delta) with step sizes Delta: the decay and rotation of a step",
                r"\bar{B}": "(exp(Lambda Delta) - 1) / Lambda times B",
                "s_t": "complex state",
                r"\mathrm{GLU}": GLU_MEANING,
            },
            papers=[SMITH, GU],
            notes=[GLU_NOTE, PAIRS_NOTE, SKIP_NOTE, CLIP_NOTE],
            options=S5Options,
        )
    )
