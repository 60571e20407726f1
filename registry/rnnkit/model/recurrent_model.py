"""The model: a backbone, a readout, and the spec that says what they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnkit import _display
from rnnkit.errors import InputError, StepError
from rnnkit.model.backbone import Backbone
from rnnkit.model.input_checks import check_step
from rnnkit.model.readout import Readout

if TYPE_CHECKING:
    from rnnkit.specs import RecurrentSpec


class RecurrentModel(nn.Module):
    """What `build_model` returns: an ordinary `torch.nn.Module` that carries its spec.

    Attributes:
        spec: what the model was built from.
        backbone: the recurrent network.
        readout: what turns the backbone's output over time into the model's output.

    Shape:
        `(batch, time, input_size)` -> `(batch, output_size)`, or `(batch, time, output_size)` with the readout
        `all`. Time comes first with `batch_first=False`. Where the spec has no `output_size`, the backbone's
        `features` stand in its place.
    """

    def __init__(self, spec: RecurrentSpec[Any], backbone: Backbone, readout: Readout) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = backbone
        self.readout = readout

    if TYPE_CHECKING:

        @overload
        def __call__(
            self,
            x: Tensor,
            state: Any | None = None,
            *,
            lengths: Tensor | None = None,
            return_state: Literal[False] = False,
        ) -> Tensor: ...
        @overload
        def __call__(
            self, x: Tensor, state: Any | None = None, *, lengths: Tensor | None = None, return_state: Literal[True]
        ) -> tuple[Tensor, Any]: ...
        @overload
        def __call__(self, x: PackedSequence, state: Any | None = None, *, return_state: bool = False) -> Any: ...
        def __call__(self, x: Any, state: Any | None = None, **kwargs: Any) -> Any: ...

    def forward(
        self,
        x: Tensor | PackedSequence,
        state: Any | None = None,
        *,
        lengths: Tensor | None = None,
        return_state: bool = False,
    ) -> Any:
        """The output of the whole sequence.

        Args:
            x: `(batch, time, input_size)`, or a `PackedSequence`, which brings its own lengths. One sequence
                without a batch axis is refused: write `x.unsqueeze(0)`.
            state: where to start: a state that this model returned; None: `initial_state`.
            lengths: valid steps of each row, `(batch,)`, integers in [0, time]; None: all are valid. What x holds
                past them, NaN included, changes no output, state or gradient.
            return_state: also return the state after each row's last valid step.

        Returns:
            The output, or the output and the state. A `PackedSequence` with the readout `all` gives one back,
            packed as the input was; every other readout gives rows in the order of the unpacked batch.

        Raises:
            InputError: the input, the state or the lengths do not fit.
        """
        if isinstance(x, PackedSequence):
            y, state = self._forward_packed(x, state, lengths)
        else:
            output, state = self.backbone(x, state, lengths=lengths)
            y = self.readout(output, lengths)
        return (y, state) if return_state else y

    def step(self, x_t: Tensor, state: Any | None = None) -> tuple[Tensor, Any]:
        """The output of one step, and the state to give to the next: `forward` in pieces, for streams.

        Args:
            x_t: `(batch, input_size)`.
            state: what the step before returned; None: `initial_state`.

        Returns:
            The output, `(batch, output_size)`, and the state.

        Raises:
            StepError: the model reads both directions or pools over time, so that an output depends on later steps.
            InputError: the input or the state does not fit.
        """
        self._check_step(x_t)
        time_axis = 1 if self.spec.batch_first else 0
        output, state = self.backbone(x_t.unsqueeze(time_axis), state)
        y = self.readout(output)
        return (y.squeeze(time_axis) if self.readout.per_step else y), state

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """The state before the first step of `batch_size` rows, on the model's device and in its dtype unless given."""
        return self.backbone.initial_state(batch_size, device=device, dtype=dtype)

    def reset_state(self, state: Any, rows: Tensor) -> Any:
        """The state in which some rows start anew, as where a stream has ended and another takes its place.

        Args:
            state: a state that this model returned.
            rows: which rows of the batch start anew: `(batch,)`, of dtype bool.

        Raises:
            InputError: the state or the mask does not fit.
        """
        return self.backbone.reset_state(state, rows)

    def restore_state(self, tensors: Mapping[str, Tensor]) -> Any:
        """The state whose tensors `flatten_state` gave, as after `torch.load`.

        Raises:
            InputError: the tensors are not those of a state of this model.
        """
        return self.backbone.restore_state(tensors)

    def extra_repr(self) -> str:
        return f"kind={self.spec.kind!r}"

    def _repr_html_(self) -> str:
        """What a notebook shows: a table of the layers."""
        return _display.render_html(self)

    def _forward_packed(self, x: PackedSequence, state: Any | None, lengths: Tensor | None) -> tuple[Any, Any]:
        if lengths is not None:
            raise InputError("A PackedSequence brings its own lengths: leave out `lengths`, or give a padded tensor")
        padded, lengths = pad_packed_sequence(x, batch_first=self.spec.batch_first)
        output, state = self.backbone(padded, state, lengths=lengths)
        y = self.readout(output, lengths)
        return (self._packed_like(x, y, lengths) if self.readout.per_step else y), state

    def _packed_like(self, x: PackedSequence, y: Tensor, lengths: Tensor) -> PackedSequence:
        """Pack y in the very order of x, rows of one length included, so that their `data` can be compared."""
        if x.sorted_indices is not None:
            y = y.index_select(0 if self.spec.batch_first else 1, x.sorted_indices)
            lengths = lengths[x.sorted_indices.cpu()]
        data = pack_padded_sequence(y, lengths, batch_first=self.spec.batch_first).data
        return PackedSequence(data, x.batch_sizes, x.sorted_indices, x.unsorted_indices)

    def _check_step(self, x_t: Tensor) -> None:
        if self.spec.bidirectional:
            raise StepError("step() has no meaning with bidirectional=True: the reverse direction starts at the end")
        if self.readout.pools:
            raise StepError(
                f"step() is not available with readout={self.spec.readout!r}, which pools over all steps: "
                "use 'last' or 'all', or call the model on the whole sequence"
            )
        check_step(x_t, self.spec.input_size)
