"""Cells whose state is complex and obeys a linear recurrence."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit.cells.cell import Cell
from rnnkit.cells.linear_cell import scan_states
from rnnkit.model import is_exporting


class ComplexState(NamedTuple):
    """The state of a cell that is complex."""

    re: Tensor
    """Its real part, `(batch, ...)`."""

    im: Tensor
    """Its imaginary part, `(batch, ...)`."""


class ComplexLinearCell(Cell):
    """A cell with the complex state s_t = a_t s_{t-1} + b_t, element-wise, where a_t and b_t depend on x_t alone.

    As `LinearCell`, but all that a subclass writes is real, since an exported program cannot have complex numbers. A
    subclass whose state does not have `hidden_size` features overrides `state_shapes`.

    ```python
    class RotationCell(ComplexLinearCell):
        def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
            super().__init__(input_size, hidden_size, device=device, dtype=dtype)
            self.angle = self.new_parameter(hidden_size)
            self.weight_ih = self.new_parameter(2 * hidden_size, input_size)

        def coefficients(self, x):
            return torch.cos(self.angle), torch.sin(self.angle), *F.linear(x, self.weight_ih).chunk(2, -1)

        def read(self, re, im):
            return re
    ```
    """

    State = ComplexState
    parallel_over_time = True
    narrows_state = False

    @abstractmethod
    def coefficients(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return a_t and b_t of all time steps, and what `read` takes after the state.

        Args:
            x: `(..., input_size)`.

        Returns:
            The real and the imaginary part of a_t, those of b_t, which all broadcast to `(..., *state)`, and the
            tensors that `read` takes.
        """

    @abstractmethod
    def read(self, re: Tensor, im: Tensor, *inputs: Tensor) -> Tensor:
        """Return the output, `(..., output_size)`.

        Args:
            re: the real part of the state after each step, `(..., *state)`.
            im: the imaginary part.
            *inputs: the results of `coefficients` after a_t and b_t.
        """

    def project(self, x: Tensor) -> Any:
        coefficients = self.coefficients(x)
        return *torch.broadcast_tensors(*coefficients[:4]), *coefficients[4:]

    def step(self, projected_t: Any, state: ComplexState) -> tuple[Tensor, ComplexState]:
        a_re, a_im, b_re, b_im, *inputs = projected_t
        re = a_re * state.re - a_im * state.im + b_re
        im = a_re * state.im + a_im * state.re + b_im
        return self.read(re, im, *inputs), ComplexState(re, im)

    def unroll(self, x: Tensor, state: ComplexState, lengths: Tensor | None) -> Any:
        if is_exporting():  # an exported program must not depend on rnnkit's operator
            return NotImplemented
        a_re, a_im, b_re, b_im, *inputs = self.coefficients(x)
        s, last = scan_states(_complex(a_re, a_im), _complex(b_re, b_im), _complex(*state), lengths)
        dtype = torch.promote_types(a_re.dtype, b_re.dtype)
        re, im, *final = (part.to(dtype) for part in (s.real, s.imag, last.real, last.imag))
        return self.read(re, im, *inputs), ComplexState(*final)


def _complex(re: Tensor, im: Tensor) -> Tensor:
    dtype = torch.promote_types(re.dtype, torch.float32)  # torch has no complex numbers of two bfloat16
    return torch.complex(re.to(dtype), im.to(dtype))
