"""The model: a backbone, a readout, and the spec that describes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnkit import _display
from rnnkit.errors import BuildError, InputError, StepError
from rnnkit.model._input_checks import (
    Index,
    Lengths,
    Mask,
    check_batch_size,
    check_input,
    check_step,
    valid_lengths,
    valid_padding_mask,
    valid_step_mask,
)
from rnnkit.model._reentrant import refuse_reentrant_checkpoint
from rnnkit.model.backbone import Backbone
from rnnkit.model.readout import Readout
from rnnkit.model.reset import ResettableModule
from rnnkit.model.restarts import run_with_restarts
from rnnkit.model.step_module import StepModule
from rnnkit.model.tokens import check_tokens, embed, tie_loaded_weights, weights_to_tie

if TYPE_CHECKING:
    from rnnkit.specs import RecurrentSpec


class RecurrentModel(ResettableModule):
    """The model that `build_model` returns: an ordinary `torch.nn.Module` that carries its spec.

    Attributes:
        spec: the spec that the model was built from.
        backbone: the recurrent network.
        readout: turns the output of the backbone into the output of the model.
        embedding: the embedding of token ids, in front of the backbone; None without `num_embeddings` in the spec.

    Shape:
        `(batch, time, input_size)` -> `(batch, output_size)`, or `(batch, time, output_size)` with the readout
        `all`. Time comes first with `batch_first=False`. Without an `output_size` in the spec, the last axis has the
        `features` of the backbone. With `num_embeddings` in the spec, the input is `(batch, time)`, integer token ids.

    Raises:
        BuildError: `embedding` is given, but not `num_embeddings` in the spec, or the reverse.
    """

    def __init__(
        self, spec: RecurrentSpec[Any], backbone: Backbone, readout: Readout, embedding: nn.Embedding | None = None
    ) -> None:
        super().__init__()
        if (embedding is None) != (spec.num_embeddings is None):
            raise BuildError(
                f"A model needs an embedding if its spec has num_embeddings, which is {spec.num_embeddings}"
            )
        self.spec = spec
        self.embedding = embedding
        self.backbone = backbone
        self.readout = readout
        if spec.tie_weights:
            self.register_load_state_dict_post_hook(tie_loaded_weights)  # type: ignore[no-untyped-call]  # in torch

    if TYPE_CHECKING:

        @overload
        def __call__(
            self,
            x: Tensor,
            state: Any | None = None,
            lengths: Lengths | None = None,
            *,
            mask: Mask | None = None,
            restarts: Mask | None = None,
            return_state: Literal[False] = False,
        ) -> Tensor: ...
        @overload
        def __call__(
            self,
            x: Tensor,
            state: Any | None = None,
            lengths: Lengths | None = None,
            *,
            mask: Mask | None = None,
            restarts: Mask | None = None,
            return_state: Literal[True],
        ) -> tuple[Tensor, Any]: ...
        @overload
        def __call__(self, x: PackedSequence, state: Any | None = None, *, return_state: bool = False) -> Any: ...
        def __call__(self, x: Any, state: Any | None = None, lengths: Lengths | None = None, **kw: Any) -> Any: ...

    # No argument is keyword-only, since tools pass arguments by position: captum those that it is given, the older ONNX
    # exporter all of them, defaults included. For type checkers, those after `lengths` are.
    def forward(  # noqa: PLR0917  # the older ONNX exporter passes every argument by position
        self,
        x: Tensor | PackedSequence,
        state: Any | None = None,
        lengths: Lengths | None = None,
        mask: Mask | None = None,
        restarts: Mask | None = None,
        return_state: bool = False,
    ) -> Any:
        """Compute the output for whole sequences.

        Args:
            x: `(batch, time, input_size)`, or a `PackedSequence`, which has its own lengths. A sequence without a
                batch axis is refused: use `x.unsqueeze(0)`. With `num_embeddings` in the spec: `(batch, time)`, token
                ids in [0, num_embeddings), and any integers past the lengths.
            state: the initial state, such as a state that this model returned; None: `initial_state`.
            lengths: number of valid steps of each sequence, `(batch,)`, in [0, time]: an integer tensor, list, tuple or
                NumPy array; None: all are valid. Values of x past them, NaN included, have no effect on outputs,
                states and gradients.
            mask: True for the valid steps of each sequence and False for the padding at its end, `(batch, time)` of
                dtype bool, a tensor or a NumPy array, time first with `batch_first=False`: another way to give
                `lengths`.
            restarts: True at the steps before which a sequence starts again from `initial_state`, such as the first
                steps of episodes or of packed documents; `(batch, time)` of dtype bool, time first with
                `batch_first=False`. A restart at step 0 replaces `state`. With `bidirectional=True`, no direction reads
                across a restart.
            return_state: True to return the state after the last valid step of each sequence as well.

        Returns:
            The output, or the output and the state. For a `PackedSequence` and the readout `all`, the output is a
            `PackedSequence` in the order of the input; for other readouts, it is in the order of the unpacked batch.

        Raises:
            InputError: the input, the state, the lengths or the mask are not valid; a mask pads on the left or has
                holes; or two of `PackedSequence`, `lengths` and `mask` are given.
            StepError: the model does not support restarts: it is bidirectional and its readout is not for each step, or
                a part of its state has no batch axis; or the state is returned through `torch.utils.checkpoint` with
                `use_reentrant=True`, which would drop its gradient.
        """
        if return_state:
            refuse_reentrant_checkpoint()
        if isinstance(x, PackedSequence):
            y, state = self._forward_packed(x, state, lengths, mask, restarts)
        else:
            if lengths is not None or mask is not None:
                lengths = self._valid_lengths(x, lengths, mask)
            output, state = self._run(x, state, lengths, restarts)
            y = self.readout(output, lengths)
        return (y, state) if return_state else y

    def step(self, x_t: Tensor, state: Any | None = None) -> tuple[Tensor, Any]:
        """Compute the output of one step and the next state: `forward` step by step, for streaming inference.

        Args:
            x_t: `(batch, input_size)`; with `num_embeddings` in the spec, `(batch,)`, integers.
            state: the state that the previous step returned; None: `initial_state`.

        Returns:
            The output, `(batch, output_size)`, and the state.

        Raises:
            StepError: the output depends on later steps, because the model is bidirectional or pools over time; or the
                step runs in `torch.utils.checkpoint` with `use_reentrant=True`.
            InputError: the input or the state is not valid.
        """
        refuse_reentrant_checkpoint()
        self._check_steps()
        check_step(x_t, None if self.embedding is not None else self.spec.input_size)
        time_axis = 1 if self.spec.batch_first else 0
        output, state = self._run(x_t.unsqueeze(time_axis), state, None, None)
        y = self.readout(output)
        return (y.squeeze(time_axis) if self.readout.per_step else y), state

    def step_module(self) -> StepModule:
        """Return `step` as a module with a flat state, `(x_t, *state) -> (y_t, *state)`, for export and serving.

        Raises:
            StepError: as from `step`.
        """
        self._check_steps()
        return StepModule(self)

    @property
    def device(self) -> torch.device:
        """The device of the parameters, which the input must be on."""
        return self.backbone.device

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of the parameters, which the input must have."""
        return self.backbone.dtype

    def initial_state(
        self, batch_size: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Any:
        """Return the state before the first step, on the device and in the dtype of the model by default.

        Raises:
            InputError: batch_size is not an integer of at least 0.
        """
        check_batch_size(batch_size)
        return self.backbone.initial_state(batch_size, device=device, dtype=dtype)

    def reset_state(self, state: Any, mask: Mask) -> Any:
        """Reset the state of some sequences, for example where a stream has ended and another takes its place.

        Args:
            state: a state that this model returned.
            mask: `(batch,)` of dtype bool; True for the sequences to reset to `initial_state`.

        Raises:
            InputError: the state or the mask is not valid.
        """
        return self.backbone.reset_state(state, mask)

    def select_state(self, state: Any, index: Index) -> Any:
        """Return the states of some sequences, in the order of `index`, as beam search and shrinking batches need.

        Args:
            state: a state that this model returned.
            index: positions of sequences in the batch, `(new_batch,)`, which may repeat, or a mask, `(batch,)` of dtype
                bool: a tensor, list, tuple or NumPy array.

        Raises:
            InputError: the state or the index is not valid.
        """
        return self.backbone.select_state(state, index)

    def merge_directions(self, state: Any, mode: Literal["concat", "sum", "mean"] = "concat") -> Any:
        """Merge the states of the two directions: from a bidirectional encoder to a unidirectional decoder.

        Args:
            state: a state that this model returned.
            mode: `"concat"` concatenates the features, for a decoder of the same kind and number of layers with twice
                the `hidden_size`; `"sum"` and `"mean"` keep the size.

        Raises:
            InputError: the state or the mode is not valid.
            StepError: the model is not bidirectional, or its backbone does not define `split_directions`.
        """
        return self.backbone.merge_directions(state, mode)

    def restore_state(self, tensors: Mapping[str, Tensor]) -> Any:
        """Rebuild a state from the tensors that `flatten_state` returned, for example after `torch.load`.

        Raises:
            InputError: the tensors do not form a state of this model.
        """
        return self.backbone.restore_state(tensors)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        embedding: Any = self.embedding
        looked_up, weight = weights_to_tie(self) if self.spec.tie_weights else (None, None)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # missing in torch's stubs
        if looked_up is not None and looked_up is weight:  # `to_empty` has given each module a weight of its own
            embedding.weight = weights_to_tie(self)[1]
        return self

    def extra_repr(self) -> str:
        return f"kind={self.spec.kind!r}"

    def _repr_html_(self) -> str:
        return _display.render_html(self)

    def _check_input(self, x: Tensor) -> None:
        if self.embedding is not None:
            check_tokens(x, batch_first=self.spec.batch_first)
        else:
            check_input(x, self.spec.input_size, self.dtype, batch_first=self.spec.batch_first)

    def _valid_lengths(self, x: Tensor, lengths: Lengths | None, mask: Mask | None) -> Tensor:
        if lengths is not None and mask is not None:
            raise InputError("`mask` and `lengths` both give the valid steps: pass one of them")
        self._check_input(x)
        batch_axis, time_axis = (0, 1) if self.spec.batch_first else (1, 0)
        if mask is not None:
            return valid_padding_mask(mask, x, batch_first=self.spec.batch_first).sum(time_axis)
        return valid_lengths(lengths, x.shape[batch_axis], x.shape[time_axis])

    def _run(self, x: Tensor, state: Any | None, lengths: Tensor | None, restarts: Mask | None) -> tuple[Tensor, Any]:
        if self.embedding is not None:
            self._check_input(x)
            x = embed(self.embedding, x, lengths, self.spec)
        if restarts is None:
            return self.backbone(x, state, lengths=lengths)  # type: ignore[no-any-return]  # a module
        restarts = self._valid_restarts(x, state, restarts)
        if torch.compiler.is_compiling():
            result = self.backbone.forward_with_restarts(x, state, lengths, restarts)
            if result is not NotImplemented:
                return result  # type: ignore[no-any-return]  # a pair
        if x.numel() == 0 or x.is_meta or not restarts.any():
            return self.backbone(x, state, lengths=lengths)  # type: ignore[no-any-return]  # a module
        return run_with_restarts(self.backbone, x, state, lengths, restarts)

    def _valid_restarts(self, x: Tensor, state: Any | None, restarts: Mask) -> Tensor:
        """Return restarts as a tensor; raise an error unless they fit the features x and the model."""
        check_input(x, self.spec.input_size, self.dtype, batch_first=self.spec.batch_first)
        tensor = valid_step_mask("restarts", restarts, x, batch_first=self.spec.batch_first)
        if self.spec.bidirectional and state is not None:
            raise InputError(
                "With restarts and bidirectional=True, state must be None: the reverse direction starts in each segment"
            )
        if self.spec.bidirectional and not self.readout.per_step:
            raise StepError(
                f"With bidirectional=True, restarts requires a readout of each step, such as 'all', but it is "
                f"{self.spec.readout!r}"
            )
        return tensor

    def _forward_packed(
        self,
        x: PackedSequence,
        state: Any | None,
        lengths: Lengths | None,
        mask: Mask | None,
        restarts: Mask | None,
    ) -> tuple[Any, Any]:
        if lengths is not None or mask is not None or restarts is not None:
            raise InputError(
                "A PackedSequence has its own lengths, and no restarts: leave out `lengths`, `mask` and `restarts`, or "
                "give a padded tensor"
            )
        padded, lengths = pad_packed_sequence(x, batch_first=self.spec.batch_first)
        output, state = self._run(padded, state, lengths, None)
        y = self.readout(output, lengths)
        return (self._packed_like(x, y, lengths) if self.readout.per_step else y), state

    def _packed_like(self, x: PackedSequence, y: Tensor, lengths: Tensor) -> PackedSequence:
        """Pack y in the very order of x, rows of one length included, so that their `data` can be compared."""
        if x.sorted_indices is not None:
            y = y.index_select(0 if self.spec.batch_first else 1, x.sorted_indices)
            lengths = lengths[x.sorted_indices.cpu()]
        data = pack_padded_sequence(y, lengths, batch_first=self.spec.batch_first).data
        return PackedSequence(data, x.batch_sizes, x.sorted_indices, x.unsorted_indices)

    def _check_steps(self) -> None:
        if self.spec.bidirectional:
            raise StepError("step() has no meaning with bidirectional=True: the reverse direction starts at the end")
        if self.readout.pools:
            raise StepError(
                f"step() is not available with readout={self.spec.readout!r}, which pools over all steps: "
                "use 'last' or 'all', or call the model on the whole sequence"
            )
