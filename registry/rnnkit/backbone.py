"""The recurrent network inside a model: what every kind's builder returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rnnkit.checks import check_input, check_lengths, check_state
from rnnkit.state import map_shapes

if TYPE_CHECKING:
    from rnnkit.spec import RecurrentSpec


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
            lengths: valid steps of each row, `(batch,)`, int64 in [0, time], on the device of x; None: all are valid.

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

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """The state before the first step: zeros, on the parameters' device and in their dtype unless given."""
        like = self._tensor()
        where, of = device or like.device, dtype or like.dtype
        return map_shapes(lambda shape: torch.zeros(shape, device=where, dtype=of), self.state_shapes(batch_size))

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
        check_input(x, self.input_size, self.dtype, batch_first=self.batch_first)
        batch, time = (x.shape[0], x.shape[1]) if self.batch_first else (x.shape[1], x.shape[0])
        if state is not None:
            state = check_state(state, self.state_shapes(batch), x.dtype)
        if lengths is None:
            return self.run(x, state, None)
        check_lengths(lengths, batch, time)
        lengths = lengths.to(x.device, torch.int64)
        past = padding(lengths, time, batch_first=self.batch_first)
        output, state = self.run(x.masked_fill(past, 0), state, lengths)
        return output.masked_fill(past, 0), state

    def _tensor(self) -> Tensor:
        """A parameter, or a buffer of a backbone that has none: what says where the backbone is, and in which dtype."""
        for tensor in chain(self.parameters(), self.buffers()):
            return tensor
        return torch.empty(0)


def padding(lengths: Tensor, time: int, *, batch_first: bool) -> Tensor:
    """True where a step is past its row's length: `(batch, time, 1)`, or `(time, batch, 1)`."""
    steps = torch.arange(time, device=lengths.device)
    past = steps >= lengths[:, None] if batch_first else steps[:, None] >= lengths
    return past.unsqueeze(-1)
