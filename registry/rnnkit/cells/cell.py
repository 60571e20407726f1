"""One time step of one layer: what the author of a new kind writes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from rnnkit.cells.initialization import orthogonal_


class CellState(NamedTuple):
    """The state of a cell whose only memory is its hidden state."""

    h: Tensor
    """`(batch, hidden_size)`."""


class Cell(nn.Module, ABC):
    r"""Base class of cells: one time step of one layer in one direction.

    A subclass makes its parameters with `new_parameter` and writes `step`. Whatever of the step depends on the input
    alone goes into `project`, which runs once for all time steps. `CellStack` makes a network of it, and `cell_kind` a
    kind. $h_t = \tanh(W_{ih} x_t + W_{hh} h_{t-1})$ is

    ```python
    class SimpleCell(Cell):
        def __init__(self, input_size, hidden_size, *, device=None, dtype=None):
            super().__init__(input_size, hidden_size, device=device, dtype=dtype)
            self.weight_ih = self.new_parameter(hidden_size, input_size)
            self.weight_hh = self.new_parameter(hidden_size, hidden_size)

        def project(self, x):
            return F.linear(x, self.weight_ih)

        def step(self, projected_t, state):
            h = torch.tanh(projected_t + F.linear(state.h, self.weight_hh))
            return h, CellState(h)
    ```

    A cell offers more by having more, and what it has not is refused when a spec asks for it:

    | a spec asks for | the cell has |
    |---|---|
    | `bias=False` | a parameter `bias` of its constructor |
    | an option of the kind itself | a parameter of its constructor by that name |
    | `layer_norm="gates"` | a parameter `layer_norm` of its constructor, which is then True |
    | `forget_bias` | the method `set_forget_bias` |
    | `recurrent_init="orthogonal"` | `recurrent_weights()`: by default, every matrix named `weight_h...` |
    | `recurrent_dropout` | `recurrent_dropout_parts`, the parts of the state that only matrix products read |

    Args:
        input_size: features of the input at one step.
        hidden_size: features of the hidden state.
        device: where `new_parameter` creates parameters; None: torch's default.
        dtype: of what dtype; None: torch's default.

    Attributes:
        output_size: features of the output at one step; `hidden_size` unless the subclass sets another.
    """

    State: ClassVar[type[tuple[Any, ...]]] = CellState
    """The class of the state: a NamedTuple of tensors, each with the batch first."""

    recurrent_dropout_parts: ClassVar[tuple[str, ...]] = ()
    """The parts of the state that `step` uses in matrix products only, which `recurrent_dropout` may therefore mask."""

    accepts_none_state: ClassVar[bool] = False
    """Whether `unroll_layers` takes None for states that are all zeros, which saves making them."""

    _unroll_origin: ClassVar[tuple[Any, ...]] = ()
    _unroll_layers_origin: ClassVar[tuple[Any, ...]] = ()

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.output_size = hidden_size
        self._new: dict[str, Any] = {"device": device, "dtype": dtype}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # The methods for which an executor was written; `fused.py` compares them with those of the cell that runs.
        # Recorded here because a method that is patched later cannot be told from the original.
        if "unroll" in vars(cls):
            cls._unroll_origin = (cls.step, cls.project, cls.unroll)
        if "unroll_layers" in vars(cls):
            cls._unroll_layers_origin = (cls.step, cls.project, cls.unroll, cls.unroll_layers)

    def new_parameter(self, *shape: int) -> nn.Parameter:
        """A parameter that starts uniform in +-1 / sqrt(hidden_size), as those of torch's recurrent modules."""
        parameter = nn.Parameter(torch.empty(shape, **self._new))
        bound = 1 / math.sqrt(self.hidden_size)
        nn.init.uniform_(parameter, -bound, bound)
        return parameter

    def project(self, x: Tensor) -> Any:
        """The part of the step that depends on the input alone, for all time steps at once.

        Args:
            x: `(..., input_size)`.

        Returns:
            A tensor, or a tuple of tensors, whose axes but the last are those of x. x itself, unless overridden.
        """
        return x

    @abstractmethod
    def step(self, projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        """One time step.

        Args:
            projected_t: what `project` made of x_t: `(batch, ...)`, a tuple if `project` returns one.
            state: the state before the step, a `State`.

        Returns:
            The output, `(batch, output_size)`, and the state after the step.
        """

    def unroll(self, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
        """A faster way through the whole sequence, if the cell has one; it must compute what `step` does.

        It is not used where it could be wrong: when a subclass overrides `step` or `project` and not `unroll`; with
        hooks or parametrizations on the cell; when somebody needs each step; under the transforms of `torch.func`.

        Args:
            x: `(time, batch, input_size)`; finite past each row's length, and nothing more.
            state: the state before the first step, a `State`.
            lengths: valid steps of each row, `(batch,)`, int64 in [1, time]; None: all are valid.

        Returns:
            The output, `(time, batch, output_size)`, whatever past each row's length, and the state after each row's
            last valid step; or `NotImplemented`, after which the stack takes one step after another.
        """
        return NotImplemented

    @staticmethod
    def unroll_layers(
        cells: Sequence[Any],
        x: Tensor,
        states: tuple[Any, ...] | None,
        lengths: Tensor | None,
        *,
        directions: int,
        dropout: float,
    ) -> Any:
        """A faster way through all layers at once, as `unroll` is through one; used where nothing acts between layers.

        Args:
            cells: one for each layer and direction, in the order of `CellStack.cells`, all of this class.
            x: as in `unroll`.
            states: one for each cell; None, if `accepts_none_state` of this class: all are zeros.
            lengths: as in `unroll`; None if `states` is None.
            directions: 1, or 2: every second cell reads the sequence backwards.
            dropout: probability with which the output of each layer but the last is zeroed now; 0 in evaluation.

        Returns:
            The last layer's output, `(time, batch, directions * output_size)`, and a tuple of final states, one for
            each cell; or `NotImplemented`, after which the stack takes one cell after another.
        """
        return NotImplemented

    def state_shapes(self, batch_size: int) -> Any:
        """The state with a `torch.Size` in the place of each tensor; `(batch, hidden_size)` unless overridden."""
        shape = torch.Size((batch_size, self.hidden_size))
        return self.State(*[shape] * len(state_fields(type(self))))

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """The state before the first step; zeros unless overridden."""
        shapes = self.state_shapes(batch_size)
        # the sizes one by one: torch takes twice the time to read a `torch.Size`
        return self.State(*[torch.zeros(*shape, device=device, dtype=dtype) for shape in shapes])

    def recurrent_weights(self) -> list[Tensor]:
        """The matrices that read the state: `(gates * hidden_size, features of the state)` each."""
        return [
            parameter
            for name, parameter in self.named_parameters()
            if name.startswith("weight_h") and parameter.dim() == 2
        ]

    def set_forget_bias(self, value: float) -> None:
        """Let the bias of the forget gate, the sum if there are two, start at a value; for cells with such a gate."""
        raise NotImplementedError

    def symbols(self) -> Mapping[str, Any]:
        r"""What the symbols of the kind's equation stand for, so that equation and step can be held against each other.

        `rnnkit.testing` then computes the equation, from its LaTeX, beside the step:

        ```python
        def symbols(self):
            return {"W_{ih}": self.weight_ih, "W_{hh}": self.weight_hh, r"\phi": torch.tanh}
        ```

        Returns:
            From each symbol, as LaTeX has it, to a number, a function, or a tensor: of one axis for a column, of two
            for a matrix, as parameters and slices of them, through which gradients flow. 0 stands for a bias that the
            cell does not have. Left out is what every equation knows: `x_t`, the parts of the state (`h_{t-1}` of a
            part `h`), and what has one meaning, such as `\sigma`, `\tanh` and `\max`. Empty unless overridden.
        """
        return {}

    def init_orthogonal(self) -> None:
        """Let each gate's block of the recurrent weights start as an orthogonal matrix."""
        for weight in self.recurrent_weights():
            orthogonal_(weight, self.hidden_size)

    def forward(self, x_t: Tensor, state: Any | None = None) -> tuple[Tensor, Any]:
        """One time step of the input itself: `(batch, input_size)`; the state None is `initial_state`."""
        if state is None:
            state = self.initial_state(len(x_t), device=x_t.device, dtype=x_t.dtype)
        return self.step(self.project(x_t), state)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"

    if TYPE_CHECKING:

        def __call__(self, x_t: Tensor, state: Any | None = None) -> tuple[Tensor, Any]: ...


def state_fields(cell: type[Cell]) -> tuple[str, ...]:
    """The names of the parts of a cell's state."""
    fields: tuple[str, ...] = getattr(cell.State, "_fields", ())
    return fields
