"""The model: a backbone, a readout, and the spec that describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnkit import _display
from rnnkit.errors import InputError, StepError
from rnnkit.model._input_checks import check_step
from rnnkit.model.backbone import Backbone
from rnnkit.model.readout import Readout
from rnnkit.model.reset import ResettableModule

if TYPE_CHECKING:
    from rnnkit.specs import RecurrentSpec


class RecurrentModel(ResettableModule):
    """The model that `build_model` returns: an ordinary `torch.nn.Module` that carries its spec.

    Attributes:
        spec: the spec that the model was built from.
        backbone: the recurrent network.
        readout: turns the output of the backbone into the output of the model.

    Shape:
        `(batch, time, input_size)` -> `(batch, output_size)`, or `(batch, time, output_size)` with the readout
        `all`. Time comes first with `batch_first=False`. Without an `output_size` in the spec, the last axis has the
        `features` of the backbone.
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
        """Compute the output for whole sequences.

        Args:
            x: `(batch, time, input_size)`, or a `PackedSequence`, which has its own lengths. A sequence without a
                batch axis is refused: use `x.unsqueeze(0)`.
            state: the initial state, such as a state that this model returned; None: `initial_state`.
            lengths: number of valid steps of each sequence, `(batch,)`, integers in [0, time]; None: all are valid.
                Values of x past them, NaN included, have no effect on outputs, states and gradients.
            return_state: True to return the state after the last valid step of each sequence as well.

        Returns:
            The output, or the output and the state. For a `PackedSequence` and the readout `all`, the output is a
            `PackedSequence` in the order of the input; for other readouts, it is in the order of the unpacked batch.

        Raises:
            InputError: the input, the state or the lengths are not valid.
        """
        if isinstance(x, PackedSequence):
            y, state = self._forward_packed(x, state, lengths)
        else:
            output, state = self.backbone(x, state, lengths=lengths)
            y = self.readout(output, lengths)
        return (y, state) if return_state else y

    def step(self, x_t: Tensor, state: Any | None = None) -> tuple[Tensor, Any]:
        """Compute the output of one step and the next state: `forward` step by step, for streaming inference.

        Args:
            x_t: `(batch, input_size)`.
            state: the state that the previous step returned; None: `initial_state`.

        Returns:
            The output, `(batch, output_size)`, and the state.

        Raises:
            StepError: the output depends on later steps, because the model is bidirectional or pools over time.
            InputError: the input or the state is not valid.
        """
        self._check_step(x_t)
        time_axis = 1 if self.spec.batch_first else 0
        output, state = self.backbone(x_t.unsqueeze(time_axis), state)
        y = self.readout(output)
        return (y.squeeze(time_axis) if self.readout.per_step else y), state

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """Return the state before the first step, on the device and in the dtype of the model by default."""
        return self.backbone.initial_state(batch_size, device=device, dtype=dtype)

    def reset_state(self, state: Any, mask: Tensor) -> Any:
        """Reset the state of some sequences, for example where a stream has ended and another takes its place.

        Args:
            state: a state that this model returned.
            mask: `(batch,)` of dtype bool; True for the sequences to reset to `initial_state`.

        Raises:
            InputError: the state or the mask is not valid.
        """
        return self.backbone.reset_state(state, mask)

    def restore_state(self, tensors: Mapping[str, Tensor]) -> Any:
        """Rebuild a state from the tensors that `flatten_state` returned, for example after `torch.load`.

        Raises:
            InputError: the tensors do not form a state of this model.
        """
        return self.backbone.restore_state(tensors)

    def extra_repr(self) -> str:
        return f"kind={self.spec.kind!r}"

    def _repr_html_(self) -> str:
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
