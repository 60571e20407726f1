"""The base class of backbones: the recurrent network of a model, which the builder of a kind returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rnnkit._messages import join_names
from rnnkit.errors import InputError, StepError
from rnnkit.model._input_checks import (
    Index,
    Lengths,
    Mask,
    check_input,
    check_integer_parts,
    check_state,
    valid_index,
    valid_lengths,
    valid_sequence_mask,
)
from rnnkit.model._reentrant import refuse_in_compiled_model, refuse_reentrant_checkpoint
from rnnkit.model.reset import ResettableModule
from rnnkit.model.state import expand_mask, flatten_with_paths, map_state, state_tensors, unflatten_state

if TYPE_CHECKING:
    from rnnkit.specs import RecurrentSpec


_MERGE: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "concat": lambda forward, reverse: torch.cat([forward, reverse], dim=-1),
    "sum": torch.add,
    "mean": lambda forward, reverse: (forward + reverse) / 2,
}


class Backbone(ResettableModule, ABC):
    """Base class of backbones: `(batch, time, input_size)` -> `(batch, time, features)` and a final state.

    A subclass implements `run` and `state_shapes`. The base class validates the arguments and zeroes the padding of
    input and output, so `run` can rely on its arguments, and its output past the length of a sequence is ignored.

    Args:
        spec: the configuration; the base class reads `input_size` and `batch_first`.
        features: number of features of the output at one step, over all directions.

    Shape:
        With `batch_first=False` in the spec, input and output are time first: `(time, batch, ...)`. The shapes of
        the state do not depend on it.
    """

    def __init__(self, spec: RecurrentSpec[Any], *, features: int) -> None:
        super().__init__()
        # Sizes are kept here, not read from an inner module: a tool, such as dynamic quantization, may replace that.
        self.input_size = spec.input_size
        self.batch_first = spec.batch_first
        self.directions = spec.directions
        self.features = features

    @abstractmethod
    def run(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> tuple[Tensor, Any]:
        """Compute the output at every step and the final state.

        Args:
            x: `(batch, time, input_size)`, or `(time, batch, input_size)` with `batch_first=False` in the spec; time at
                least 1, batch possibly 0; zeros past the length of each sequence.
            state: the state before the first step, in the layout of `state_shapes`; None: `initial_state`.
            lengths: number of valid steps of each sequence, `(batch,)`, int64 in [0, time], on the device of x; None if
                all are valid, the batch is empty, or x is on the device `meta`.

        Returns:
            The output, in the layout of x, and the state after the last valid step of each sequence (for the reverse
            direction, which starts at the last valid step: after step 0). A sequence of length 0 keeps its initial
            state.
        """

    @abstractmethod
    def state_shapes(self, batch_size: int) -> Any:
        """Return the state with a `torch.Size` in place of each tensor."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that the input must have."""
        return self._reference_tensor().dtype

    @property
    def device(self) -> torch.device:
        """The device of the parameters, which the input must be on."""
        return self._reference_tensor().device

    @property
    def force_step_loop(self) -> bool:
        """True to run the step loop even if an executor is available.

        Raises:
            StepError: it is set to True on a backbone that is not a stack of cells.
        """
        return False

    @force_step_loop.setter
    def force_step_loop(self, value: bool) -> None:
        if value:
            raise StepError(self._requires_cells("force_step_loop"))

    @property
    def executor(self) -> str:
        """The executor of the last call that was not compiled, and why no faster one ran; for display.

        `unroll_layers` and `unroll` are methods of the cell, as torch's kernels; `step loop` is the steps of the cell,
        one after another; `torch` is a module of torch; any other name is that of an executor of a plugin. Empty before
        the first call, and for other backbones.
        """
        return ""

    def all_states(self, x: Tensor, state: Any | None = None, lengths: Lengths | None = None) -> tuple[Tensor, Any]:  # noqa: ARG002  # `CellStack` overrides it
        """Return the output and the state after every step; see `CellStack.all_states`.

        Raises:
            StepError: the backbone is not a stack of cells.
        """
        raise StepError(self._requires_cells("all_states"))

    def _requires_cells(self, name: str) -> str:
        return (
            f"{name} requires a stack of cells, but {type(self).__name__} runs the whole sequence in one call: "
            "use a kind such as 'lstm_cell'"
        )

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """Return the state before the first step: zeros, with the device and dtype of the parameters by default."""
        device, dtype = self._device_and_dtype(device, dtype)
        return map_state(lambda shape: torch.zeros(shape, device=device, dtype=dtype), self.state_shapes(batch_size))

    def reset_state(self, state: Any, mask: Mask) -> Any:
        """Return the state with the sequences where `mask`, `(batch,)` of dtype bool, is True reset to `initial_state`.

        Parts of the state without a batch axis are unchanged.

        Raises:
            InputError: the state or the mask is not valid.
        """
        sequences = valid_sequence_mask(mask)
        state = check_state(state, self.state_shapes(sequences.shape[0]), None)

        def reset(part: Tensor, initial: Tensor, axis: int | None) -> Tensor:
            if axis is None:
                return part
            wide = expand_mask(sequences.to(part.device), part.transpose(0, axis)).transpose(0, axis)
            return torch.where(wide, initial.to(part), part)

        return map_state(reset, state, self.initial_state(sequences.shape[0]), self.batch_axes())

    def select_state(self, state: Any, index: Index) -> Any:
        """Return the states of some sequences, in the order of `index`, as beam search and shrinking batches need.

        Parts of the state without a batch axis are unchanged.

        Args:
            state: a state of this backbone.
            index: positions of sequences in the batch, `(new_batch,)`, which may repeat, or a mask, `(batch,)` of dtype
                bool: a tensor, list, tuple or NumPy array.

        Raises:
            InputError: the state or the index is not valid.
        """
        state, batch = self._validate_state(state)
        if batch is None:
            return state
        positions = valid_index(index, batch)

        def select(part: Tensor, axis: int | None) -> Tensor:
            return part if axis is None else part.index_select(axis, positions.to(part.device))

        return map_state(select, state, self.batch_axes())

    def split_directions(self, state: Any) -> tuple[Any, Any]:  # noqa: ARG002  # subclasses define it
        """Return the states of the forward and the reverse direction, each in the layout of a unidirectional backbone.

        A subclass defines it to support `merge_directions`, which calls it with a valid state if the backbone is
        bidirectional.

        Raises:
            StepError: the backbone does not define it.
        """
        raise StepError(f"merge_directions is not available: {type(self).__name__} does not define split_directions")

    def merge_directions(self, state: Any, mode: str = "concat") -> Any:
        """Merge the states of the two directions into one state in the layout of a unidirectional backbone.

        The final state of a bidirectional encoder becomes the initial state of a unidirectional decoder of the same
        kind and the same number of layers. Parts that are not floating-point, such as step counts, are those of the
        forward direction.

        Args:
            state: a state of this backbone.
            mode: `"concat"` concatenates the features, for a decoder with twice the `hidden_size`; `"sum"` and `"mean"`
                keep the size.

        Raises:
            InputError: the state or the mode is not valid.
            StepError: the backbone is not bidirectional, or does not define `split_directions`.
        """
        if mode not in _MERGE:
            raise InputError(f"mode must be one of {join_names(map(repr, _MERGE))}, but is {mode!r}")
        if self.directions == 1:
            raise StepError("merge_directions requires a bidirectional model, but bidirectional=False in its spec")
        forward, reverse = self.split_directions(self._validate_state(state)[0])

        def merge(ahead: Tensor, back: Tensor) -> Tensor:
            return _MERGE[mode](ahead, back) if ahead.is_floating_point() else ahead

        return map_state(merge, forward, reverse)

    def restore_state(self, tensors: Mapping[str, Tensor]) -> Any:
        """Rebuild a state from the tensors that `flatten_state` returned.

        Raises:
            InputError: the tensors do not form a state of this backbone.
        """
        return self._validate_state(unflatten_state(tensors, self.state_shapes(0)))[0]

    def _validate_state(self, state: Any) -> tuple[Any, int | None]:
        """Return a state in the layout of `state_shapes`, and its batch size; None if no part has a batch axis.

        Raises:
            InputError: it is not a state of this backbone.
        """
        axes = [axis for _, axis in flatten_with_paths(self.batch_axes())]
        parts = state_tensors(state)
        sizes = [part.shape[axis] for part, axis in zip(parts, axes, strict=False) if _has_axis(part, axis)]
        batch = max(sizes, default=None)
        return check_state(state, self.state_shapes(batch or 0), None), batch

    def onnx_translations(self) -> Mapping[Any, Callable[..., Any]]:
        """Return ONNX translations of the custom operators that this backbone calls; empty unless overridden.

        A translation is a function of the operator's arguments that returns its results, written in `onnxscript`, as in
        the argument `custom_translation_table` of `torch.onnx.export`. Operators of torch have theirs already. If an
        operator has none, `export_onnx` exports `as_step_loop`.
        """
        return {}

    def as_step_loop(self) -> Backbone:
        """Return a backbone with the same weights and states that calls no custom operators; itself unless overridden.

        `export_program` and `export_onnx` use it with `native=False`, and `export_onnx` for a custom operator without a
        translation.
        """
        return self

    def batch_axes(self) -> Any:
        """Return the state with the index of the batch axis in place of each tensor, or None for parts without one."""

        # The batch axis is the one whose size changes with the batch size.
        def axis(shape: torch.Size, larger: torch.Size) -> int | None:
            return next((i for i, (size, other) in enumerate(zip(shape, larger, strict=True)) if size != other), None)

        return map_state(axis, self.state_shapes(2), self.state_shapes(3))

    def forward(self, x: Tensor, state: Any | None = None, lengths: Lengths | None = None) -> tuple[Tensor, Any]:
        """Compute the output at every step and the final state.

        Args:
            x: `(batch, time, input_size)`.
            state: the state that an earlier call returned; None: `initial_state`.
            lengths: number of valid steps of each sequence, `(batch,)`: an integer tensor, list or NumPy array; None:
                all are valid. Values of x past them have no effect.

        Returns:
            The output, `(batch, time, features)`, zeros past the length of each sequence, and the state after the last
            valid step of each sequence.

        Raises:
            InputError: the input, the state or the lengths are not valid.
            StepError: the call runs in `torch.utils.checkpoint` with `use_reentrant=True`, which would drop the
                gradient of the state.
        """
        refuse_reentrant_checkpoint()
        x, state, lengths, padding = self._validate_inputs(x, state, lengths)
        output, state = self.run(x, state, lengths)
        state = refuse_in_compiled_model(x, state)
        return (output if padding is None else output.masked_fill(padding, 0)), state

    def forward_with_restarts(self, x: Tensor, state: Any | None, lengths: Lengths | None, restarts: Tensor) -> Any:
        """Compute `forward` with restarts in a traced program, or return `NotImplemented`.

        Args:
            x: as in `forward`.
            state: as in `forward`.
            lengths: as in `forward`.
            restarts: True at the steps before which the state is reset, in the layout of x without features.
        """
        x, state, lengths, padding = self._validate_inputs(x, state, lengths)
        result = self.run_with_restarts(x, state, lengths, restarts.to(x.device))
        if result is NotImplemented:
            return result
        output, state = result
        state = refuse_in_compiled_model(x, state)
        return (output if padding is None else output.masked_fill(padding, 0)), state

    def run_with_restarts(self, x: Tensor, state: Any | None, lengths: Tensor | None, restarts: Tensor) -> Any:  # noqa: ARG002  # subclasses define it
        """Compute `run` with restarts, by operations whose sizes do not depend on the values of `restarts`.

        A subclass may define it, for `torch.compile` and `torch.export`; elsewhere, `run` computes each segment. An
        operator of the subclass may do the same inside, with `RestartSegments`.

        Args:
            x: as in `run`.
            state: as in `run`.
            lengths: as in `run`.
            restarts: True at the steps before which the state is reset, in the layout of x without features.

        Returns:
            As `run`, or `NotImplemented`. For the reverse direction, the final state is that of the last segment.
        """
        return NotImplemented

    def _validate_inputs(
        self, x: Tensor, state: Any | None, lengths: Lengths | None
    ) -> tuple[Tensor, Any | None, Tensor | None, Tensor | None]:
        """Return the arguments of `run` and the padding mask; the mask is None if nothing is padded."""
        check_input(x, self.input_size, self.dtype, batch_first=self.batch_first)
        batch, time = (x.shape[0], x.shape[1]) if self.batch_first else (x.shape[1], x.shape[0])
        if state is not None:
            state = self._check_state(state, batch, x.dtype)
        lengths = None if lengths is None else valid_lengths(lengths, batch, time)
        if lengths is None or batch == 0 or x.is_meta:  # without values, lengths have no effect
            return x, state, None, None
        lengths = lengths.to(x.device)
        padding = padding_mask(lengths, time, batch_first=self.batch_first)
        # masked_fill, not a product with the mask: 0 * NaN is NaN
        return x.masked_fill(padding, 0), state, lengths, padding

    def _check_state(self, state: Any, batch: int, dtype: torch.dtype) -> Any:
        try:
            state = check_state(state, self.state_shapes(batch), dtype)
        except InputError as error:
            if not self._has_twice_the_states(state):
                raise
            raise InputError(
                f"{error}. If it is the state of a bidirectional encoder, merge its directions first: "
                "encoder.merge_directions(state)"
            ) from None
        if not all(part.is_floating_point() for part in state_tensors(state)):
            check_integer_parts(state, self.initial_state(batch, dtype=dtype))
        return state

    def _has_twice_the_states(self, state: Any) -> bool:
        """True for the state of a bidirectional backbone of the same kind and number of layers, if this one is not."""
        expected, given = state_tensors(self.state_shapes(0)), state_tensors(state)
        if self.directions == 2 or not all(isinstance(part, Tensor) and part.dim() > 0 for part in given):
            return False
        shapes = self.state_shapes(0)
        if not hasattr(shapes, "_fields"):  # a state for each cell
            return isinstance(state, tuple) and isinstance(shapes, tuple) and len(state) == 2 * len(shapes)
        axes = [axis for _, axis in flatten_with_paths(self.batch_axes())]
        sizes = [(part.shape[0], 2 * shape[0]) for part, shape in zip(given, expected, strict=False)]
        return len(given) == len(expected) and 0 not in axes and all(size == twice for size, twice in sizes)

    def _device_and_dtype(
        self, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> tuple[torch.device | str, torch.dtype]:
        if device is not None and dtype is not None:
            return device, dtype
        tensor = self._reference_tensor()
        return device or tensor.device, dtype or tensor.dtype

    def _reference_tensor(self) -> Tensor:
        """Return a real parameter, or a real buffer if there is none, whose device and dtype are the backbone's."""
        tensor = _first_tensor(self, "_parameters")
        tensor = _first_tensor(self, "_buffers") if tensor is None else tensor
        return torch.empty(0) if tensor is None else tensor


def _has_axis(part: Any, axis: int | None) -> bool:
    return isinstance(part, Tensor) and axis is not None and part.dim() > axis


def _first_tensor(module: nn.Module, registry: str) -> Tensor | None:
    # As `next(module.parameters())`, in a tenth of the time: this runs at every call.
    for tensor in getattr(module, registry).values():
        if tensor is not None and not tensor.is_complex():  # input and state are real
            return tensor  # type: ignore[no-any-return]  # a parameter or a buffer
    for child in module._modules.values():  # noqa: SLF001  # `children()` is slower: it removes duplicates
        tensor = None if child is None else _first_tensor(child, registry)
        if tensor is not None:
            return tensor
    return None


def padding_mask(lengths: Tensor, time: int, *, batch_first: bool) -> Tensor:
    """Return a mask that is True past the length of each sequence: `(batch, time, 1)`, or `(time, batch, 1)`."""
    steps = torch.arange(time, device=lengths.device)
    past = steps >= lengths[:, None] if batch_first else steps[:, None] >= lengths
    return past.unsqueeze(-1)
