"""The kind `lmu`: a memory that holds the last steps of a signal as Legendre polynomials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Cell, Kind, Paper, StackOptions, cell_kind, hookimpl

VOELKER = Paper(
    title="Legendre Memory Units: Continuous-Time Representation in Recurrent Neural Networks",
    authors="Aaron R. Voelker, Ivana Kajić, Chris Eliasmith",
    year=2019,
    link="https://papers.nips.cc/paper/2019/hash/952285b9b7e7a1be5aa7849f32ffff05-Abstract.html",
    contribution="the cell",
)
CHILKURI = Paper(
    title="Parallelizing Legendre Memory Unit Training",
    authors="Narsimha Chilkuri, Chris Eliasmith",
    year=2021,
    link="https://arxiv.org/abs/2102.11417",
    contribution="the memory without feedback, `feedback=False`",
)

FEEDBACK_NOTE = (
    "keras-lmu leaves out the terms of h and m in u by default, and W_x with them; rnnkit has all terms of the paper, "
    "which has no biases."
)


class LMUState(NamedTuple):
    """The state of one layer of an LMU in one direction."""

    h: Tensor
    """Hidden state, `(batch, hidden_size)`."""
    m: Tensor
    """Coefficients of the Legendre polynomials, `(batch, memory_size * order)`."""


class LMUOptions(StackOptions):
    """Options of the kind `lmu`."""

    order: Annotated[int, Field(ge=1, le=1024)] = 8
    """Number of Legendre polynomials; more for faster changes within the window."""
    theta: Annotated[float, Field(ge=1)] = 64.0
    """Number of steps of the window."""
    memory_size: Annotated[int, Field(ge=1)] = 1
    """Number of signals that the memory holds."""
    feedback: bool = True
    """Whether the signals depend on h and m, in addition to the input."""


class LMUCell(Cell):
    """One step of a Legendre memory unit; its state is `LMUState(h, m)`.

    Attributes:
        weight_iu: `(memory_size, input_size)`, by which the signals u read the input.
        weight_hu: `(memory_size, hidden_size)`, by which u reads h, or None.
        weight_mu: `(memory_size, memory_size * order)`, zeros at the start, by which u reads m, or None.
        weight_ih: `(hidden_size, input_size)`.
        weight_hh: `(hidden_size, hidden_size)`.
        weight_mh: `(hidden_size, memory_size * order)`, by which h reads m.
        matrix: `(memory_size * order, memory_size * order)`, a buffer: the transition of m.
        column: `(memory_size * order, memory_size)`, a buffer, by which m reads u.
    """

    State = LMUState
    recurrent_dropout_parts: ClassVar[tuple[str, ...]] = ("h",)
    matrix: Tensor
    column: Tensor

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        order: int = 8,
        theta: float = 64.0,
        memory_size: int = 1,
        feedback: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.memory_features = memory_size * order
        self.weight_iu = self.new_parameter(memory_size, input_size)
        self.weight_hu = self.new_parameter(memory_size, hidden_size) if feedback else None
        self.weight_mu = self.new_parameter(memory_size, self.memory_features) if feedback else None
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)
        self.weight_mh = self.new_parameter(hidden_size, self.memory_features)
        self._init_weights()
        place = "meta" if self.weight_hh.is_meta else "cpu"  # others may have no float64
        one = torch.eye(memory_size, dtype=torch.float64, device=place)
        matrix, column = (torch.kron(one, each) for each in legendre_delay(order, theta, place))
        self.register_buffer("matrix", matrix.to(self.weight_hh.dtype).to(self.weight_hh.device))
        self.register_buffer("column", column.to(self.weight_hh.dtype).to(self.weight_hh.device))

    def _init_weights(self) -> None:
        for weight in (self.weight_ih, self.weight_hh, self.weight_mh):
            nn.init.xavier_normal_(weight)
        for encoder in (self.weight_iu, self.weight_hu):
            if encoder is not None:
                bound = (3 / encoder.shape[1]) ** 0.5
                nn.init.uniform_(encoder, -bound, bound)
        if self.weight_mu is not None:
            nn.init.zeros_(self.weight_mu)

    def state_shapes(self, batch_size: int) -> LMUState:
        shapes: Any = torch.Size((batch_size, self.hidden_size)), torch.Size((batch_size, self.memory_features))
        return LMUState(*shapes)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return F.linear(x, self.weight_iu), F.linear(x, self.weight_ih)

    def step(self, projected_t: tuple[Tensor, Tensor], state: LMUState) -> tuple[Tensor, LMUState]:
        u, x = projected_t
        if self.weight_hu is not None and self.weight_mu is not None:
            u = u + F.linear(state.h, self.weight_hu) + F.linear(state.m, self.weight_mu)
        m = F.linear(state.m, self.matrix) + F.linear(u, self.column)
        h = torch.tanh(x + F.linear(state.h, self.weight_hh) + F.linear(m, self.weight_mh))
        return h, LMUState(h, m)

    def recurrent_weights(self) -> list[Tensor]:
        weights = (self.weight_hh, self.weight_hu, self.weight_mu)
        return [weight for weight in weights if weight is not None]

    def symbols(self) -> dict[str, Any]:
        none_h, none_m = (self.weight_iu.new_zeros(len(self.weight_iu), size) for size in self._state_sizes())
        return {
            "E_x": self.weight_iu,
            "E_h": none_h if self.weight_hu is None else self.weight_hu,
            "E_m": none_m if self.weight_mu is None else self.weight_mu,
            "W_x": self.weight_ih,
            "W_h": self.weight_hh,
            "W_m": self.weight_mh,
            r"\bar{A}": self.matrix,
            r"\bar{B}": self.column,
        }

    def _state_sizes(self) -> tuple[int, int]:
        return self.hidden_size, self.memory_features


def legendre_delay(order: int, theta: float, device: str) -> tuple[Tensor, Tensor]:
    """Return the discrete transition `(order, order)` and input column `(order, 1)` of a delay line, in float64.

    The coefficients m of the shifted Legendre polynomials of the last `theta` steps of a signal u follow
    theta dm/dt = A m + B u with A_ij = (2i + 1) (-1 if i < j else (-1)^(i - j + 1)) and B_i = (2i + 1) (-1)^i (Voelker
    et al., 2019), here at steps of 1 during which u is constant.
    """
    i = torch.arange(order, dtype=torch.float64, device=device)[:, None]
    j = i.T
    a = (2 * i + 1) * torch.where(i < j, -1.0, (-1.0) ** (i - j + 1))
    b = (2 * i + 1) * (-1.0) ** i
    # The exponential of [A B; 0 0] has both matrices of the zero-order hold as blocks.
    system = F.pad(torch.cat([a, b], 1) / theta, (0, 0, 0, 1))
    discrete = torch.linalg.matrix_exp(system)
    return discrete[:order, :order], discrete[:order, order:]


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            LMUCell,
            name="lmu",
            summary="A memory of the last `theta` steps as Legendre polynomials, which h reads.",
            keywords=["Legendre memory unit"],
            family="continuous",
            equation=r"""
                u_t &= E_x x_t + E_h h_{t-1} + E_m m_{t-1} \\
                m_t &= \bar{A} m_{t-1} + \bar{B} u_t \\
                h_t &= \tanh(W_x x_t + W_h h_{t-1} + W_m m_t)
            """,
            meanings={
                "u_t": "signals that the memory holds",
                "m_t": "coefficients of Legendre polynomials for the last `theta` values of u",
                r"\bar{A}": "fixed transition of the memory",
                r"\bar{B}": "fixed input weights of the memory",
            },
            papers=[VOELKER, CHILKURI],
            notes=[FEEDBACK_NOTE],
            options=LMUOptions,
        )
    )
