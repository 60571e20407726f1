"""Cells whose state obeys a linear recurrence, for which whole sequences are one scan."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor

from rnnkit.cells.cell import Cell, CellState
from rnnkit.cells.linear_scan import scan
from rnnkit.model import is_exporting


class LinearCell(Cell):
    """A cell with the state h_t = a_t h_{t-1} + b_t, element-wise, where a_t and b_t depend on x_t alone.

    A subclass writes `coefficients`; `step`, and `unroll` by `rnnkit.scan`, follow from it:

    ```python
    class DecayCell(LinearCell):
        def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
            super().__init__(input_size, hidden_size, device=device, dtype=dtype)
            self.weight_ih = self.new_parameter(hidden_size, input_size)

        def coefficients(self, x):
            gate = F.linear(x, self.weight_ih)
            return torch.sigmoid(gate), torch.sigmoid(-gate)  # exact where 1 - sigmoid(gate) would be rounded to 0
    ```
    """

    parallel_over_time = True
    narrows_state = False

    @abstractmethod
    def coefficients(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return a_t and b_t of all time steps, which broadcast to `(..., *state)`, and what `read` takes after them.

        Args:
            x: `(..., input_size)`.
        """

    def read(self, h: Tensor, *inputs: Tensor) -> Tensor:  # noqa: ARG002  # subclasses read them
        """Return the output, `(..., output_size)`; h unless overridden.

        Args:
            h: the state after each step, `(..., hidden_size)`.
            *inputs: the results of `coefficients` after a_t and b_t.
        """
        return h

    def project(self, x: Tensor) -> Any:
        a, b, *inputs = self.coefficients(x)
        return (*torch.broadcast_tensors(a, b), *inputs)

    def step(self, projected_t: Any, state: CellState) -> tuple[Tensor, CellState]:
        a, b, *inputs = projected_t
        h = a * state.h + b
        return self.read(h, *inputs), CellState(h)

    def unroll(self, x: Tensor, state: CellState, lengths: Tensor | None) -> Any:
        if is_exporting():  # an exported program must not depend on rnnkit's operator
            return NotImplemented
        a, b, *inputs = self.project(x)
        h, last = scan_states(a, b, state.h, lengths)
        return self.read(h, *inputs), CellState(last)


def scan_states(a: Tensor, b: Tensor, h0: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return the states h_t = a_t h_{t-1} + b_t of all steps, and the state after the last valid step.

    Args:
        a: the factors of all steps; a and b broadcast to `(time, batch, ...)`.
        b: the terms of all steps.
        h0: the state before the first step, `(batch, ...)`.
        lengths: number of valid steps of each sequence, `(batch,)`; None: all are valid.
    """
    a, b = torch.broadcast_tensors(a, b)
    h = scan(a, b, h0)
    last = h[-1] if lengths is None else h[lengths - 1, torch.arange(len(lengths), device=h.device)]
    return h, last
