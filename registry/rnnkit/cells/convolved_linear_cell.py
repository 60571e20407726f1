"""Linear cells whose coefficients depend on the last inputs."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from torch import Tensor

from rnnkit.cells.causal_convolution import CausalConv
from rnnkit.cells.linear_cell import LinearCell, scan_states
from rnnkit.model import is_exporting


class ConvolvedState(NamedTuple):
    """The state of a `ConvolvedLinearCell`."""

    h: Tensor
    """Hidden state, `(batch, hidden_size)`."""
    tail: Tensor
    """The last inputs of the convolution, `(batch, kernel_size - 1, in_channels)`."""


class ConvolvedLinearCell(LinearCell):
    """A `LinearCell` whose a_t and b_t depend on a causal convolution of the input.

    A subclass creates `convolution`. Its `coefficients` get the output of the convolution in place of the input:

    ```python
    class QuasiRecurrentCell(ConvolvedLinearCell):
        def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
            super().__init__(input_size, hidden_size, device=device, dtype=dtype)
            self.convolution = CausalConv(input_size, 2 * hidden_size, 2, device=device, dtype=dtype)

        def coefficients(self, x):
            z, f = x.chunk(2, -1)
            return torch.sigmoid(f), torch.sigmoid(-f) * torch.tanh(z)
    ```

    Attributes:
        convolution: the convolution.
    """

    State = ConvolvedState
    bookkeeping: ClassVar[tuple[str, ...]] = ("tail",)
    convolution: CausalConv

    def convolution_input(self, x: Tensor) -> Tensor:
        """Return the input of the convolution, `(..., in_channels)`; x unless overridden.

        Args:
            x: `(..., input_size)`.
        """
        return x

    def project(self, x: Tensor) -> Tensor:
        return self.convolution_input(x)

    def step(self, projected_t: Tensor, state: Any) -> tuple[Tensor, Any]:
        x, tail = self.convolution.step(projected_t, state.tail)
        a, b, *inputs = self.coefficients(x)
        h = a * state.h + b
        return self.read(h, *inputs), ConvolvedState(h, tail)

    def unroll(self, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
        if is_exporting():  # as in `LinearCell`
            return NotImplemented
        x, tail = self.convolution(self.project(x), state.tail, lengths)
        a, b, *inputs = self.coefficients(x)
        h, last = scan_states(a, b, state.h, lengths)
        return self.read(h, *inputs), ConvolvedState(last, tail)

    def state_shapes(self, batch_size: int) -> Any:
        return super().state_shapes(batch_size)._replace(tail=self.convolution.tail_shape(batch_size))
