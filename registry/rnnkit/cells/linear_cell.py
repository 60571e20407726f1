"""Cells whose state obeys a linear recurrence, for which whole sequences are one scan."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from rnnkit.cells.cell import Cell, CellState
from rnnkit.cells.linear_scan import scan


class LinearCell(Cell):
    """A cell with the state h_t = a_t h_{t-1} + b_t, element-wise, where a_t and b_t depend on x_t alone.

    A subclass writes `coefficients`; `step`, and `unroll` by `rnnkit.scan`, follow from it:

    ```python
    class DecayCell(LinearCell):
        def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
            super().__init__(input_size, hidden_size, device=device, dtype=dtype)
            self.weight_ih = self.new_parameter(hidden_size, input_size)

        def coefficients(self, x):
            a = torch.sigmoid(F.linear(x, self.weight_ih))
            return a, 1 - a
    ```
    """

    parallel_over_time = True

    @abstractmethod
    def coefficients(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return a_t and b_t of all time steps, which broadcast to `(..., hidden_size)`.

        Args:
            x: `(..., input_size)`.
        """

    def read(self, h: Tensor, x: Tensor) -> Tensor:  # noqa: ARG002  # subclasses read x
        """Return the output, `(..., output_size)`; h unless overridden.

        Args:
            h: the state after each step, `(..., hidden_size)`.
            x: the input at each step, `(..., input_size)`.
        """
        return h

    def project(self, x: Tensor) -> Any:
        a, b = torch.broadcast_tensors(*self.coefficients(x))
        return (a, b) if type(self).read is LinearCell.read else (a, b, x)

    def step(self, projected_t: Any, state: CellState) -> tuple[Tensor, CellState]:
        a, b, *x = projected_t
        h = a * state.h + b
        return (self.read(h, *x) if x else h), CellState(h)

    def unroll(self, x: Tensor, state: CellState, lengths: Tensor | None) -> Any:
        if torch.compiler.is_exporting():  # an exported program must not depend on rnnkit's operator
            return NotImplemented
        a, b, *inputs = self.project(x)
        h = scan(a, b, state.h)
        last = h[-1] if lengths is None else h[lengths - 1, torch.arange(len(lengths), device=h.device)]
        return (self.read(h, *inputs) if inputs else h), CellState(last)
