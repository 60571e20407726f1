"""Cells whose state is a matrix for each head that obeys a linear recurrence."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit.cells.cell import Cell
from rnnkit.cells.matrix_scan import matrix_scan


class MatrixState(NamedTuple):
    """The state of a `MatrixCell`."""

    S: Tensor
    """`(batch, heads, key_size, value_size)`."""


class MatrixCell(Cell):
    r"""A cell with the state $S_t = \mathrm{diag}(a_t) S_{t-1} + k_t v_t^\top$, of which it reads $y_t = S_t^\top q_t$.

    Keys k, values v, queries q and decays a depend on x_t alone, and each head has its own. A subclass writes
    `coefficients`; `step`, and `unroll` by `rnnkit.matrix_scan`, follow from it:

    ```python
    class RetentionCell(MatrixCell):
        def __init__(self, input_size, hidden_size, *, heads=1, device=None, dtype=None):
            super().__init__(input_size, hidden_size, heads=heads, device=device, dtype=dtype)
            self.weight_ih = self.new_parameter(3 * hidden_size, input_size)

        def coefficients(self, x):
            q, k, v = F.linear(x, self.weight_ih).unflatten(-1, (3, self.heads, self.head_size)).unbind(-3)
            return q, k, v, torch.full_like(q[..., :1], math.log(0.9))
    ```

    Args:
        input_size: number of features of the input at one step.
        hidden_size: number of features of the output, over all heads.
        heads: number of heads.
        device: device of the parameters that `new_parameter` creates; None: torch's default.
        dtype: dtype of these parameters; None: torch's default.

    Attributes:
        heads: number of heads.
        head_size: number of features of the keys and of the values of a head.

    Raises:
        ValueError: `heads` does not divide `hidden_size`.
    """

    State = MatrixState

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        heads: int = 1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        if hidden_size % heads:
            raise ValueError(f"heads must divide hidden_size, but heads={heads} and hidden_size={hidden_size}")
        self.heads = heads
        self.head_size = hidden_size // heads

    @abstractmethod
    def coefficients(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return q, k, v and the logarithm of the decay of all time steps, and for the delta rule beta.

        The shapes are those of `rnnkit.matrix_scan`, with the leading axes of x: `(..., heads, head_size)`, and
        `(..., heads, 1)` for beta and for one decay for each head.

        Args:
            x: `(..., input_size)`.
        """

    def read(self, y: Tensor, x: Tensor) -> Tensor:  # noqa: ARG002  # subclasses read x
        """Return the output, `(..., output_size)`; the outputs of the heads, concatenated, unless overridden.

        Args:
            y: what the queries read, `(..., heads, value_size)`.
            x: the input at each step, `(..., input_size)`.
        """
        return y.flatten(-2)

    def project(self, x: Tensor) -> tuple[Tensor, ...]:
        q, k, v, log_decay, *beta = self.coefficients(x)
        return x, q, k, v, log_decay.exp(), *beta

    def step(self, projected_t: Any, state: MatrixState) -> tuple[Tensor, MatrixState]:
        x, q, k, v, decay, *beta = projected_t
        s = decay.unsqueeze(-1) * state.S
        if beta:
            v = beta[0] * (v - _product(k, s))
        s = s + k.unsqueeze(-1) * v.unsqueeze(-2)
        return self.read(_product(q, s), x), MatrixState(s)

    def unroll(self, x: Tensor, state: MatrixState, lengths: Tensor | None) -> Any:
        if torch.compiler.is_exporting():  # an exported program must not depend on rnnkit's operators
            return NotImplemented
        q, k, v, log_decay, *beta = self.coefficients(x)
        y, s = matrix_scan(q, k, v, log_decay, state.S, beta=beta[0] if beta else None, lengths=lengths)
        return self.read(y, x), MatrixState(s)

    def state_shapes(self, batch_size: int) -> Any:
        shape: Any = torch.Size((batch_size, self.heads, self.head_size, self.head_size))
        return MatrixState(shape)


def _product(vector: Tensor, matrix: Tensor) -> Tensor:
    """Return S^T q, `(..., value_size)`."""
    return (vector.unsqueeze(-2) @ matrix).squeeze(-2)
