"""The complex diagonal recurrence of `lru` and `s5`, which does not depend on time, and its output."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Size, Tensor
from torch.nn import functional as F

from rnnkit import ComplexLinearCell, ComplexState, StackOptions

GLU_NOTE = (
    "Without the GLU, which the paper's block has behind the layer, a stack of several layers is a linear map of its "
    "input."
)
GLU_MEANING = "a GELU, then two linear maps of which one gates the other; the identity with `output='none'`"
SKIP_NOTE = "The paper's D is a vector, as its input and output have one size. Here it is a matrix."


class StateSpaceOptions(StackOptions):
    """Options of `lru` and `s5`."""

    state_size: Annotated[int, Field(ge=1)] | None = None
    """Number of complex states; None: `hidden_size`."""

    output: Literal["glu", "none"] = "glu"
    """`"glu"` for the GELU and gated linear unit behind the recurrence; `"none"` for the recurrence alone, of which a
    stack of several layers is a linear map."""


class StateSpaceCell(ComplexLinearCell):
    """Base class: y = GLU(m Re(C s) + D x) of the states s_t = a s_{t-1} + B x_t, where a and B do not depend on time.

    Attributes:
        multiplicity: m, the number of states that one stands for: 2 for a pair of conjugates.
        weight_ih: `(2 * state_size, input_size)`; the real parts of B, then the imaginary parts.
        weight_out: `(2 * hidden_size, state_size)`; the real parts of C, then the imaginary parts.
        weight_skip: `(hidden_size, input_size)`; D.
        weight_glu: `(2 * hidden_size, hidden_size)`; the rows of the values v, then those of the gates g. None with
            `output="none"`.
        bias: `(2 * hidden_size,)`; that of v and g. None with `output="none"`.
    """

    multiplicity: ClassVar[int] = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        state_size: int | None,
        output: str,
        bias: bool,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(input_size, hidden_size, device=device, dtype=dtype)
        self.state_size = hidden_size if state_size is None else state_size
        self.weight_ih = self.new_parameter(2 * self.state_size, input_size)
        self.weight_out = self.new_parameter(2 * hidden_size, self.state_size)
        self.weight_skip = self.new_parameter(hidden_size, input_size)
        has_glu = output == "glu"
        self.weight_glu = self.new_parameter(2 * hidden_size, hidden_size) if has_glu else None
        self.bias = self.new_parameter(2 * hidden_size) if has_glu and bias else None

    @abstractmethod
    def recurrence(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the real and the imaginary part of a, `(state_size,)`, and those of B, `(state_size, input_size)`."""

    def state_shapes(self, batch_size: int) -> ComplexState:
        return ComplexState(*[Size((batch_size, self.state_size))] * 2)  # type: ignore[arg-type]  # sizes in their place

    def coefficients(self, x: Tensor) -> tuple[Tensor, ...]:
        a_re, a_im, b_re, b_im = self.recurrence()
        return a_re, a_im, F.linear(x, b_re), F.linear(x, b_im), F.linear(x, self.weight_skip)

    def read(self, re: Tensor, im: Tensor, *inputs: Tensor) -> Tensor:
        c_re, c_im = self.weight_out.chunk(2)
        return self.glu(self.multiplicity * (F.linear(re, c_re) - F.linear(im, c_im)) + inputs[0])

    def glu(self, x: Tensor) -> Tensor:
        """Return the GLU of x, `(..., hidden_size)`; x itself with `output="none"`."""
        return x if self.weight_glu is None else F.glu(F.linear(F.gelu(x), self.weight_glu, self.bias))

    def symbols(self) -> dict[str, Any]:
        c = torch.complex(*self.weight_out.chunk(2))
        return {"C": c, "D": self.weight_skip, r"\mathrm{GLU}": self.glu, "i": 1j}
