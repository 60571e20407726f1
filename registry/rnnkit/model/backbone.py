"""The recurrent network inside a model: what every kind's builder returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rnnkit.errors import StepError
from rnnkit.model.input_checks import check_input, check_lengths, check_rows, check_state
from rnnkit.model.state import as_wide, map_state, paths, unflatten_state

if TYPE_CHECKING:
    from rnnkit.specs import RecurrentSpec


class Backbone(nn.Module, ABC):
    """Base class of backbones: `(batch, time, input_size)` -> `(batch, time, features)` and a final state.

    A subclass writes `run` and `state_shapes`. The base class refuses what does not fit and zeroes the padding of input
    and output, so `run` may rely on its arguments, and need not care what it outputs past a row's length.

    Args:
        spec: gives `input_size` and `batch_first`.
        features: features of the output at one step, both directions together.

    Shape:
        With `batch_first=False` in the spec, input and output are time first: `(time, batch, ...)`. The shapes of
        the state do not depend on it.
    """

    def __init__(self, spec: RecurrentSpec[Any], *, features: int) -> None:
        super().__init__()
        self.input_size = spec.input_size
        self.batch_first = spec.batch_first
        self.features = features

    @abstractmethod
    def run(self, x: Tensor, state: Any | None, lengths: Tensor | None) -> tuple[Tensor, Any]:
        """The output at every step and the final state.

        Args:
            x: `(batch, time, input_size)`, time at least 1, batch possibly 0; zeros past each row's length.
            state: the state before the first step, in the layout of `state_shapes`; None: `initial_state`.
            lengths: valid steps of each row, `(batch,)`, int64 in [0, time], on the device of x; None: all are valid,
                or there are no rows.

        Returns:
            The output, and the state after each row's last valid step (for the reverse direction: after step 0, having
            started at the last valid step). A row of length 0 keeps the state that it came with.
        """

    @abstractmethod
    def state_shapes(self, batch_size: int) -> Any:
        """The state, with a `torch.Size` in the place of each tensor."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that the input must have."""
        return self._tensor().dtype

    @property
    def force_step_loop(self) -> bool:
        """Whether one `step` is taken after another, even where there is a faster way. Set it to True to force that.

        Raises:
            StepError: it is set on a backbone that is no stack of cells, and so has no steps to take.
        """
        return False

    @force_step_loop.setter
    def force_step_loop(self, plain: bool) -> None:
        if plain:
            raise StepError(self._no_steps("force_step_loop"))

    def all_states(self, x: Tensor, state: Any | None = None, *, lengths: Tensor | None = None) -> tuple[Tensor, Any]:  # noqa: ARG002  # for those that can
        """The output, and the state after every step, of a stack of cells; see `CellStack.all_states`.

        Raises:
            StepError: the backbone is no stack of cells, and knows its last state only.
        """
        raise StepError(self._no_steps("all_states"))

    def _no_steps(self, asked: str) -> str:
        return (
            f"{asked} needs single steps, but {type(self).__name__} runs through a sequence in one piece: "
            "build a kind that is a stack of cells, such as 'lstm_cell'"
        )

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """The state before the first step: zeros, on the parameters' device and in their dtype unless given."""
        where, of = self._place(device, dtype)
        return map_state(lambda shape: torch.zeros(shape, device=where, dtype=of), self.state_shapes(batch_size))

    def reset_state(self, state: Any, rows: Tensor) -> Any:
        """The state in which the rows where `rows`, `(batch,)` of dtype bool, is True start anew.

        A part of the state that all rows share stays as it is.

        Raises:
            InputError: the state or the mask does not fit.
        """
        check_rows(rows)
        state = check_state(state, self.state_shapes(len(rows)), None)

        def reset(part: Tensor, start: Tensor, axis: int | None) -> Tensor:
            if axis is None:
                return part
            mask = as_wide(rows.to(part.device), part.transpose(0, axis)).transpose(0, axis)
            return torch.where(mask, start.to(part), part)

        return map_state(reset, state, self.initial_state(len(rows)), self._batch_axes())

    def restore_state(self, tensors: Mapping[str, Tensor]) -> Any:
        """The state whose tensors `flatten_state` gave.

        Raises:
            InputError: the tensors are not those of a state of this backbone.
        """
        state = unflatten_state(tensors, self.state_shapes(0))
        axes = paths(self._batch_axes())
        sizes = [tensors[path].shape[axis : axis + 1] for path, axis in axes if axis is not None]
        batch = max((size[0] for size in sizes if size), default=0)
        return check_state(state, self.state_shapes(batch), None)

    def _batch_axes(self) -> Any:
        """The state with the axis of the batch in the place of each tensor; None: the part does not have one."""

        def axis(of_two: torch.Size, of_three: torch.Size) -> int | None:
            return next((i for i, (two, three) in enumerate(zip(of_two, of_three, strict=True)) if two != three), None)

        return map_state(axis, self.state_shapes(2), self.state_shapes(3))

    def forward(self, x: Tensor, state: Any | None = None, *, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
        """The output at every step and the final state.

        Args:
            x: `(batch, time, input_size)`.
            state: the state that an earlier call returned; None: `initial_state`.
            lengths: valid steps of each row, `(batch,)`; None: all are valid. What x holds past them changes nothing.

        Returns:
            The output, `(batch, time, features)`, zeros past each row's length, and the state after each row's last
            valid step.

        Raises:
            InputError: the input, the state or the lengths do not fit.
        """
        x, state, lengths, past = self._admitted(x, state, lengths)
        output, state = self.run(x, state, lengths)
        return (output if past is None else output.masked_fill(past, 0)), state

    def _admitted(
        self, x: Tensor, state: Any | None, lengths: Tensor | None
    ) -> tuple[Tensor, Any | None, Tensor | None, Tensor | None]:
        """The arguments of `run`, and where the padding is; None: nowhere."""
        check_input(x, self.input_size, self.dtype, batch_first=self.batch_first)
        batch, time = (x.shape[0], x.shape[1]) if self.batch_first else (x.shape[1], x.shape[0])
        if state is not None:
            state = check_state(state, self.state_shapes(batch), x.dtype)
        if lengths is not None:
            check_lengths(lengths, batch, time)
        if lengths is None or batch == 0:
            return x, state, None, None
        lengths = lengths.to(x.device, torch.int64)
        past = padding(lengths, time, batch_first=self.batch_first)
        return x.masked_fill(past, 0), state, lengths, past

    def _place(
        self, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> tuple[torch.device | str, torch.dtype]:
        if device is not None and dtype is not None:
            return device, dtype
        like = self._tensor()
        return device or like.device, dtype or like.dtype

    def _tensor(self) -> Tensor:
        """A parameter, or a buffer of a backbone that has none: what says where the backbone is, and in which dtype."""
        first = _first(self, "_parameters")
        first = _first(self, "_buffers") if first is None else first
        return torch.empty(0) if first is None else first


def _first(module: nn.Module, kept: str) -> Tensor | None:
    """The first of a module's parameters or buffers: what `parameters()` finds in ten times the time, at every call."""
    for tensor in getattr(module, kept).values():
        if tensor is not None:
            return tensor  # type: ignore[no-any-return]  # the dictionary may be of either sort
    for child in module._modules.values():  # noqa: SLF001  # `children()` looks for repetitions first
        tensor = None if child is None else _first(child, kept)
        if tensor is not None:
            return tensor
    return None


def padding(lengths: Tensor, time: int, *, batch_first: bool) -> Tensor:
    """True where a step is past its row's length: `(batch, time, 1)`, or `(time, batch, 1)`."""
    steps = torch.arange(time, device=lengths.device)
    past = steps >= lengths[:, None] if batch_first else steps[:, None] >= lengths
    return past.unsqueeze(-1)
