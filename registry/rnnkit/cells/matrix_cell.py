"""Cells whose state is a matrix for each head that obeys a linear recurrence."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from rnnkit.cells.cell import Cell
from rnnkit.cells.matrix_scan import matrix_scan
from rnnkit.model import is_exporting


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

    State: ClassVar[type[tuple[Any, ...]]] = MatrixState
    parallel_over_time = True
    narrows_state = False

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
        """Return q_t, k_t, v_t and log a_t of all time steps, and what `read` takes after them.

        The first four are `(..., heads, head_size)`; log a_t is at most 0, and `(..., heads, 1)` if a head has one
        decay for all features.

        Args:
            x: `(..., input_size)`.
        """

    def read(self, y: Tensor, *inputs: Tensor) -> Tensor:  # noqa: ARG002  # subclasses read them
        """Return the output, `(..., output_size)`; the y_t of the heads, concatenated, unless overridden.

        Args:
            y: `(..., heads, value_size)`.
            *inputs: the results of `coefficients` after log a_t.
        """
        return y.flatten(-2)

    def project(self, x: Tensor) -> Any:
        q, k, v, log_decay, *inputs = self.coefficients(x)
        return q, k, v, log_decay.exp(), *inputs

    def step(self, projected_t: Any, state: MatrixState) -> tuple[Tensor, MatrixState]:
        q, k, v, decay, *inputs = projected_t
        s = decay.unsqueeze(-1) * state.S + k.unsqueeze(-1) * v.unsqueeze(-2)
        y = (q.unsqueeze(-2) @ s).squeeze(-2)
        return self.read(y, *inputs), MatrixState(s)

    def unroll(self, x: Tensor, state: MatrixState, lengths: Tensor | None) -> Any:
        if is_exporting():  # an exported program must not depend on rnnkit's operator
            return NotImplemented
        q, k, v, log_decay, *inputs = self.coefficients(x)
        y, s = matrix_scan(q, k, v, log_decay, state.S, lengths=lengths)
        return self.read(y, *inputs), MatrixState(s)

    def state_shapes(self, batch_size: int) -> Any:
        shape: Any = torch.Size((batch_size, self.heads, self.head_size, self.head_size))
        return MatrixState(shape)
