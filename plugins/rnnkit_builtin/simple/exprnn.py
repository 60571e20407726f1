"""The kind `exprnn`: an orthogonal recurrent matrix, as the exponential of a skew-symmetric one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import Cell, CellState, Kind, Paper, StackOptions, cell_kind, hookimpl

LEZCANO = Paper(
    title="Cheap Orthogonal Constraints in Neural Networks: A Simple Parametrization of the Orthogonal and Unitary "
    "Group",
    authors="Mario Lezcano-Casado, David Martínez-Rubio",
    year=2019,
    link="https://arxiv.org/abs/1901.08428",
    contribution="the exponential of a skew-symmetric matrix",
)
ARJOVSKY = Paper(
    title="Unitary Evolution Recurrent Neural Networks",
    authors="Martin Arjovsky, Amar Shah, Yoshua Bengio",
    year=2016,
    link="https://arxiv.org/abs/1511.06464",
    contribution="the activation function modReLU",
)

TRIANGLE_NOTE = (
    "The authors' code takes the upper triangle of A alone; here both triangles count, as A - A^T. The authors train A "
    "with a tenth of the learning rate of the other weights."
)


class ExpRNNOptions(StackOptions):
    """Options of the kind `exprnn`."""

    angles: Literal["henaff", "cayley"] = "henaff"
    """The start of the rotations in planes of two features: `"henaff"` draws angles from [-pi, pi], and `"cayley"` from
    [-1, 0], more of them near 0."""


class ExpRNNCell(Cell):
    """One step of the expRNN; its state is `CellState(h)`.

    Attributes:
        weight_ih: `(hidden_size, input_size)`; normally distributed at the start, with the variance 2 / input_size.
        weight_hh: `(hidden_size, hidden_size)`, the matrix A of Q = exp(A - A^T).
        bias: `(hidden_size,)`, by which modReLU shifts absolute values; uniform in +-0.01 at the start.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        angles: Literal["henaff", "cayley"] = "henaff",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.weight_ih = self.new_parameter(hidden_size, input_size)
        self.weight_hh = self.new_parameter(hidden_size, hidden_size)
        self.bias = self.new_parameter(hidden_size)
        nn.init.kaiming_normal_(self.weight_ih, nonlinearity="relu")
        nn.init.uniform_(self.bias, -0.01, 0.01)
        with torch.no_grad():
            self.weight_hh.zero_()
            # every second entry above the diagonal: a rotation of two features each
            self.weight_hh.diagonal(1)[::2] = _draw_angles(self.weight_hh.diagonal(1)[::2], angles)

    def prepare(self) -> Tensor:
        matrix = self.weight_hh - self.weight_hh.T
        narrow = matrix.element_size() < 4  # narrower exponentials are NaN in torch 2.13
        rotation: Tensor = torch.linalg.matrix_exp(matrix.float() if narrow else matrix).to(matrix.dtype)
        return rotation

    def project(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight_ih)

    def step(self, projected_t: tuple[Tensor, Tensor], state: CellState) -> tuple[Tensor, CellState]:
        x, rotation = projected_t
        value = x + F.linear(state.h, rotation)
        h = torch.sign(value) * torch.relu(torch.abs(value) + self.bias)
        return h, CellState(h)

    def recurrent_weights(self) -> list[Tensor]:
        return []  # `recurrent_init` would replace A, whose exponential is orthogonal anyway

    def onnx_translations(self) -> Mapping[Any, Callable[..., Any]]:
        from rnnkit_builtin.simple._onnx_matrix_exp import translate_matrix_exp  # needs onnxscript

        return {torch.ops.aten.linalg_matrix_exp.default: translate_matrix_exp}

    def symbols(self) -> dict[str, Any]:
        return {
            "A": self.weight_hh,
            "T": self.weight_ih,
            "b": self.bias,
            r"\mathrm{expm}": torch.linalg.matrix_exp,
        }


def _draw_angles(like: Tensor, angles: str) -> Tensor:
    if angles == "henaff":
        return torch.empty_like(like).uniform_(-math.pi, math.pi)
    return -torch.tan(torch.empty_like(like).uniform_(0, math.pi / 2) / 2)


@hookimpl
def register_kinds(register: Callable[[Kind], None]) -> None:
    register(
        cell_kind(
            ExpRNNCell,
            name="exprnn",
            summary="An RNN with an orthogonal matrix, whose state keeps its length, for copying over long gaps.",
            keywords=["orthogonal RNN", "unitary RNN"],
            family="simple",
            equation=r"""
                Q &= \mathrm{expm}(A - A^\top) \\
                a_t &= T x_t + Q h_{t-1} \\
                h_t &= \mathrm{sign}(a_t) \odot \mathrm{relu}(\mathrm{abs}(a_t) + b)
            """,
            meanings={
                "Q": "orthogonal matrix",
                r"\mathrm{expm}": "the exponential of a matrix",
                "a_t": "value that modReLU shrinks or stretches by b",
            },
            papers=[LEZCANO, ARJOVSKY],
            notes=[TRIANGLE_NOTE],
            options=ExpRNNOptions,
        )
    )
