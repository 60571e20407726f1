"""The base class of cells: one time step of one layer, the part of a kind that its author writes."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from rnnkit._messages import join_names, short_repr
from rnnkit.cells._state_parts import require_valid_parts
from rnnkit.cells.initialization import chrono_, orthogonal_
from rnnkit.model import ResettableModule, refuse_reentrant_checkpoint


class CellState(NamedTuple):
    """The state of a cell that has a hidden state and nothing else."""

    h: Tensor
    """`(batch, hidden_size)`."""


class Cell(ResettableModule, ABC):
    r"""Base class of cells: one time step of one layer in one direction.

    A subclass creates its parameters with `new_parameter` and implements `step`. The part of the step that depends on
    the input alone goes into `project`, which runs once for all time steps. `CellStack` builds a network from a cell
    class, and `cell_kind` a kind. For example, $h_t = \tanh(W_{ih} x_t + W_{hh} h_{t-1})$ is

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

    A cell supports more of a spec by defining more. A spec that needs a feature the cell does not define is refused:

    | the spec sets | the cell defines |
    |---|---|
    | `bias=False` | a parameter `bias` of its constructor |
    | an option of the kind itself | a parameter of its constructor with the same name |
    | an option that adds a part to the state | `class_for`, which returns another class |
    | `layer_norm="gates"` | a parameter `layer_norm` of its constructor, which is then True |
    | `forget_bias` | the method `set_forget_bias` |
    | `forget_bias="chrono"` | the methods `set_forget_bias` and `set_chrono_bias` |
    | `time_feature` | a parameter `elapsed` of `project` |
    | `recurrent_init="orthogonal"` | `recurrent_weights()`: by default, every matrix named `weight_h...` |
    | `recurrent_dropout` | `recurrent_dropout_parts`, the parts of the state that are read by matrix products only |
    | `zoneout` | nothing, or `shared_zoneout_mask`, and `supports_zoneout` left at True |
    | `zoneout`, `learn_initial_state` | a part of the state that is not in `bookkeeping` |

    A constructor that takes `layer`, `num_layers` or `direction` gets the place of the cell in its stack, as where a
    start of the weights depends on the layer: the layer from 0 to `num_layers - 1`, and direction 0 for forward, 1 for
    reverse. An option that is `PerLayer` arrives as the value of the cell's layer.

    Args:
        input_size: number of features of the input at one step.
        hidden_size: number of features of the hidden state.
        device: device of the parameters that `new_parameter` creates; None: torch's default.
        dtype: dtype of these parameters; None: torch's default.

    Attributes:
        output_size: number of features of the output at one step; `hidden_size` unless the subclass sets another.
    """

    State: ClassVar[type[tuple[Any, ...]]] = CellState
    """The class of the state: a NamedTuple of tensors, each with the batch as its first axis.

    Tensors are real: the real and the imaginary part of a complex number are two parts of the state.
    """

    recurrent_dropout_parts: ClassVar[tuple[str, ...]] = ()
    """The parts of the state that `step` reads in matrix products only.

    `recurrent_dropout` masks these parts. A part that is carried over element-wise, such as the cell state of an LSTM,
    must not be listed: with a fixed mask it would vanish or explode.
    """

    parallel_over_time: ClassVar[bool] = False
    """True if `unroll` computes all steps of a sequence at once, with a scan; shown in tables of kinds."""

    narrows_state: ClassVar[bool] = True
    """True if `step` gets a float32 state in the dtype of autocast, where that is enabled; False if it keeps its dtype.

    Set it to False if `step` only adds to the state and multiplies it element-wise, and if `unroll` keeps its dtype.
    """

    bookkeeping: ClassVar[tuple[str, ...]] = ()
    """The parts of the state that are not memory, such as a stabilizer or a step count.

    They are neither learned by `learn_initial_state` nor changed by `zoneout` and `recurrent_dropout`. Parts of an
    integer dtype are treated so in any case.
    """

    shared_zoneout_mask: ClassVar[tuple[str, ...]] = ()
    """The parts of the state that `zoneout` keeps or updates together, such as a memory and its normalizer.

    They share one mask over their first two axes, `(batch, units)`, which have the same sizes in each of them.
    """

    supports_zoneout: ClassVar[bool] = True
    """False if a state with some features of one step and some of another means nothing, as where a stabilizer scales
    all of them; `zoneout` is then refused."""

    equation: ClassVar[str] = ""
    """The update of one step in LaTeX, for a class that `class_for` returns; empty: the equation of the kind."""

    accepts_none_state: ClassVar[bool] = False
    """True if `unroll_layers` accepts None in place of states that are all zeros, so that none are allocated."""

    has_elapsed = False
    """True if the option `time_feature` is set: the input of the cell then has the elapsed time as one more feature."""

    takes_elapsed: ClassVar[bool] = False
    """True if `project` has a parameter `elapsed`; set when the class is created."""

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
        if cls.step is not Cell.step:  # a base class of cells may leave its state to subclasses
            require_valid_parts(cls, state_fields(cls))
        # The methods that an executor was written for: `fused.py` compares them with those of the cell that runs.
        # They are recorded when the class is created, before anyone can patch them.
        cls.takes_elapsed = "elapsed" in inspect.signature(cls.project).parameters
        if "unroll" in vars(cls):
            cls._unroll_origin = (cls.step, cls.project, cls.prepare, cls.unroll)
        if "unroll_layers" in vars(cls):
            cls._unroll_layers_origin = (cls.step, cls.project, cls.prepare, cls.unroll, cls.unroll_layers)

    @classmethod
    def class_for(cls, options: Mapping[str, Any]) -> type[Cell]:  # noqa: ARG003  # subclasses read them
        """Return the class of the cells with these options of the kind; this class unless overridden.

        A class has one `State`. Where an option adds a part to the state, return a subclass with another `State` and
        `equation`:

        ```python
        @classmethod
        def class_for(cls, options):
            return cls if options["conv"] is None else ConvolvedCell
        ```

        The constructors of both classes take all options of the kind.

        Args:
            options: the options that the kind adds to `StackOptions`, by name, with the values of one layer.
        """
        return cls

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Tensor | nn.Module):
            require_super_init(self)
        super().__setattr__(name, value)

    def new_parameter(self, *shape: int) -> nn.Parameter:
        """Create a parameter, initialized uniformly in +-1 / sqrt(hidden_size) as in torch's recurrent modules.

        For another start, call a function of `torch.nn.init` next, or assign values under `torch.no_grad()`, in the
        constructor: `reset_parameters` runs it again. On the device `meta` tensors have no values, so that `item()` and
        conditions on values fail there.

        Raises:
            TypeError: the constructor has not called `super().__init__()`.
        """
        require_super_init(self)
        parameter = nn.Parameter(torch.empty(shape, **self._new))
        bound = 1 / math.sqrt(self.hidden_size)
        nn.init.uniform_(parameter, -bound, bound)
        return parameter

    def project(self, x: Tensor) -> Any:
        """Compute the part of the step that depends on the input alone, for all time steps at once.

        A cell that models the time between steps takes it as a second parameter, `def project(self, x, elapsed=1.0)`.
        It gets the time since the previous step, `(..., 1)`: ones, unless the option `time_feature` is set.

        Args:
            x: `(..., input_size)`.

        Returns:
            A tensor or a tuple of tensors, `(..., features)` each; x itself unless overridden.
        """
        return x

    @property
    def packed_size(self) -> int:
        """The number of features of the input of `project_packed`: `input_size`, and one if `has_elapsed`."""
        return self.input_size + self.has_elapsed

    def project_packed(self, x: Tensor) -> Any:
        """Compute `project`, whose elapsed time is the last feature of x if `has_elapsed`.

        Args:
            x: `(..., packed_size)`.
        """
        if not self.takes_elapsed:
            return self.project(x)
        elapsed = x[..., -1:] if self.has_elapsed else torch.ones_like(x[..., :1])
        return self.project(x[..., : self.input_size], elapsed)  # type: ignore[call-arg]  # `takes_elapsed`

    def prepare(self) -> Any:
        """Compute the values that depend on the weights alone, such as `W - W.T`, once for all time steps.

        A cell that overrides it gets them beside the projected input, as `step((projected_t, prepared), state)`.

        Returns:
            A tensor or a tuple of tensors; None, which stands for nothing to prepare, unless overridden.
        """
        return None

    def bind_step(self) -> Callable[[Any, Any], tuple[Tensor, Any]]:
        """Return the function of one step of `(projected_t, state)`, for which `prepare` is computed once."""
        prepared = self.prepare()
        if prepared is None:
            return self.step
        return lambda projected_t, state: self.step((projected_t, prepared), state)

    @abstractmethod
    def step(self, projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        """Compute one time step. This method defines the cell; every executor must be equal to it.

        Args:
            projected_t: the result of `project` at this step: `(batch, ...)`, a tuple if `project` returns a tuple. If
                the cell overrides `prepare`, the pair of this and its result.
            state: the state before the step, a `State`.

        Returns:
            The output, `(batch, output_size)`, and the state after the step.
        """

    def unroll(self, x: Tensor, state: Any, lengths: Tensor | None) -> Any:
        """Run the cell over a whole sequence: an executor, equal to the step loop and faster.

        It is used only where it is known to be equal. The stack falls back to the step loop if a subclass overrides
        `step` or `project` without overriding `unroll`, if one of these methods is replaced or patched, if the cell has
        hooks or parametrizations, if an option or `all_states` needs each step, and under the transforms of
        `torch.func`.

        Args:
            x: `(time, batch, input_size)`; finite past the length of each sequence, and otherwise arbitrary there.
            state: the state before the first step, a `State`.
            lengths: number of valid steps of each sequence, `(batch,)`, int64 in [1, time]; None: all are valid.

        Returns:
            The output, `(time, batch, output_size)`, arbitrary past the length of each sequence, and the state after
            the last valid step of each sequence; or `NotImplemented`, for which the stack runs the step loop.
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
        """Run all layers over a whole sequence: an executor as `unroll`, for stacks without operations between layers.

        Args:
            cells: one for each layer and direction, in the order of `CellStack.cells`, all of this class.
            x: as in `unroll`.
            states: one for each cell; None if all are zeros, which is passed only if `accepts_none_state` is True.
            lengths: as in `unroll`; None if `states` is None.
            directions: 1, or 2 for a bidirectional stack, where every second cell reads the sequence in reverse.
            dropout: probability of zeroing a feature of the output of each layer but the last; 0 in evaluation.

        Returns:
            The output of the last layer, `(time, batch, directions * output_size)`, and a tuple of final states, one
            for each cell; or `NotImplemented`, for which the stack runs one cell after another.
        """
        return NotImplemented

    def prefers_executor(self, x: Tensor, lengths: Tensor | None) -> bool:  # subclasses read them
        """True if an installed executor is faster than `unroll` and `unroll_layers` for such a sequence.

        The stack then asks the installed executors first. If there are none, or all refuse the plan of the cell, the
        methods of the cell run. Decide by a fixed rule on sizes, dtype and whether there are lengths, not on values or
        measured times, so that the same call always runs the same way.

        Args:
            x: the input of the lowest layer, `(time, batch, input_size)`.
            lengths: the number of valid steps of each sequence, `(batch,)`; None: all are valid.

        Returns:
            False unless overridden.
        """
        return False

    def state_shapes(self, batch_size: int) -> Any:
        """Return the state with a `torch.Size` in place of each tensor; `(batch, hidden_size)` unless overridden."""
        shape = torch.Size((batch_size, self.hidden_size))
        return self.State(*[shape] * len(state_fields(type(self))))

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """Return the state before the first step; zeros unless overridden."""
        shapes = self.state_shapes(batch_size)
        # Unpacked: `torch.zeros` takes twice as long to parse a `torch.Size`, and this runs at every call.
        return self.State(*[torch.zeros(*shape, device=device, dtype=dtype) for shape in shapes])

    def recurrent_weights(self) -> list[Tensor]:
        """Return the matrices that multiply the state, `(gates * hidden_size, features)` each.

        By default, they are the parameters with two axes whose names start with `weight_h`. Weights with three axes,
        such as a block for each head, are not found: return their matrices, and override `init_orthogonal` if these
        have no `hidden_size` rows for each gate.
        """
        return [
            parameter
            for name, parameter in self.named_parameters()
            if name.startswith("weight_h") and parameter.dim() == 2
        ]

    def set_forget_bias(self, value: float) -> None:
        """Initialize the bias of the forget gate, or the sum of its two biases, for cells that have such a gate."""
        raise NotImplementedError

    def set_chrono_bias(self, value: Tensor) -> None:
        """Initialize the bias of the forget gate to a value, and that of an input gate to its negative.

        Args:
            value: `(hidden_size,)`.
        """
        raise NotImplementedError

    def constrain_(self) -> None:
        """Move parameters into the bounds that the paper sets, in place; nothing unless overridden.

        `rnnkit.constrain_` calls it without gradient, after each step of an optimizer. New parameters are inside the
        bounds.
        """

    def symbols(self) -> Mapping[str, Any]:
        r"""Return the values of the symbols in the kind's equation, so that `rnnkit.testing` can verify `step`.

        The kit evaluates the LaTeX of the equation with these values and compares the result with `step`:

        ```python
        def symbols(self):
            return {"W_{ih}": self.weight_ih, "W_{hh}": self.weight_hh, r"\phi": torch.tanh}
        ```

        Returns:
            A mapping from each symbol, written as in the LaTeX, to a number, a function or a tensor: one axis for a
            column, two for a matrix. If the equation is that of one head, a list has a value for each head, and the
            axis after the batch of each part of the state is that of the heads. Give parameters or slices of them, so
            that gradients flow; give 0 for a bias that the cell does not have. Omit `x_t`, the parts of the state
            (`h_{t-1}` of a part `h`) and functions with a fixed meaning, such as `\sigma`, `\tanh` and `\max`. Empty
            unless overridden.
        """
        return {}

    def onnx_translations(self) -> Mapping[Any, Callable[..., Any]]:
        """Return ONNX translations of the custom operators that this cell calls; empty unless overridden.

        A translation is a function of the operator's arguments that returns its results, written in `onnxscript`, as in
        the argument `custom_translation_table` of `torch.onnx.export`. Operators of torch have theirs already. If an
        operator has none, `export_onnx` exports a `Scan` of `step`.
        """
        return {}

    def init_orthogonal(self) -> None:
        """Initialize the block of each gate in the recurrent weights as an orthogonal matrix."""
        for weight in self.recurrent_weights():
            orthogonal_(weight, self.hidden_size)

    def init_chrono(self, max_length: int) -> None:
        """Initialize the biases for dependencies of up to `max_length` steps (`rnnkit.chrono_`)."""
        self.set_chrono_bias(chrono_(torch.empty(self.hidden_size, **self._new), max_length))

    def forward(self, x_t: Tensor, state: Any | None = None) -> tuple[Tensor, Any]:
        """Compute one time step from an input that is not projected.

        Args:
            x_t: `(batch, input_size)`; with the option `time_feature`, the elapsed time is one more feature, the last.
            state: the state before the step; None: `initial_state`.

        Returns:
            The output, `(batch, output_size)`, and the state after the step.

        Raises:
            StepError: the call runs in `torch.utils.checkpoint` with `use_reentrant=True`, which would drop the
                gradient of the state.
        """
        refuse_reentrant_checkpoint()
        if state is None:
            state = self.initial_state(x_t.shape[0], device=x_t.device, dtype=x_t.dtype)
        return checked_step(self)(self.project_packed(x_t), state)

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}"

    if TYPE_CHECKING:

        def __call__(self, x_t: Tensor, state: Any | None = None) -> tuple[Tensor, Any]: ...


def checked_step(cell: Cell) -> Callable[[Any, Any], tuple[Tensor, Any]]:
    """Return the function of one step, which raises TypeError if the step does not return an output and a state."""
    step, state_class = cell.bind_step(), type(cell).State

    def checked(projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        result = step(projected_t, state)
        # A single tensor would be unpacked along its batch, without an error if that has two sequences.
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], state_class)):
            raise _step_error(cell, result)
        return result

    return checked


def _step_error(cell: Cell, result: Any) -> TypeError:
    name, state = type(cell).__name__, type(cell).State.__name__
    fields = ", ".join(state_fields(type(cell)))
    return TypeError(
        f"{name}.step must return the output and the state, as in `return output, {state}({fields})`, "
        f"but returned {_describe(result)}"
    )


def _describe(result: Any) -> str:
    if isinstance(result, Tensor):
        return f"one tensor of shape {tuple(result.shape)}"
    if isinstance(result, tuple):
        return f"a {type(result).__name__} of {join_names(type(part).__name__ for part in result) or 'nothing'}"
    return short_repr(result)


def require_super_init(cell: Cell) -> None:
    """Raise TypeError if the constructor of a cell has not called that of `Cell`."""
    if "_new" not in cell.__dict__:
        raise TypeError(
            f"{type(cell).__name__}.__init__ must call super().__init__(input_size, hidden_size, device=device, "
            "dtype=dtype) before it creates parameters"
        )


def state_fields(cell: type[Cell]) -> tuple[str, ...]:
    """Return the names of the parts of a cell's state."""
    fields: tuple[str, ...] = getattr(cell.State, "_fields", ())
    return fields
