"""torch's recurrent kernels by name, on sequences of different lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnkit_builtin._autocast import cast_for_onednn


class Layers(NamedTuple):
    """The layers that one call of a kernel computes."""

    kernel: str
    """`"rnn_tanh"`, `"rnn_relu"`, `"gru"` or `"lstm"`."""
    num_layers: int
    bias: bool
    """True if the weights of each cell include two biases."""
    bidirectional: bool


def run_kernel(
    layers: Layers,
    x: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    *,
    dropout: float = 0.0,
) -> list[Tensor]:
    """Run a kernel over whole sequences.

    Args:
        layers: the kernel and its layers.
        x: `(time, batch, input_size)`.
        state: the parts of the initial state, `(num_layers * directions, batch, features)` each.
        weights: the weights of each cell, in the order of `nn.RNNBase`.
        lengths: number of valid steps of each sequence, `(batch,)`, in [1, time]; None: all are valid.
        dropout: probability of zeroing a feature between two layers; 0 in evaluation.

    Returns:
        The output, `(time, batch, directions * features)`, zeros past the lengths, and the parts of the final state.
    """
    kernel, num_layers, bias, bidirectional = layers
    settings = (list(weights), bias, num_layers, dropout, dropout > 0, bidirectional)
    if lengths is None:
        return list(_KERNELS[kernel](x, _hx(state), *settings, False))  # batch_first=False
    packed: Any = pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)
    # packing sorts the sequences by length, so the states must be in the same order
    state = [part.index_select(1, packed.sorted_indices) for part in state]
    data, *final = _KERNELS[kernel](packed.data, packed.batch_sizes, _hx(state), *settings)
    output, _ = pad_packed_sequence(PackedSequence(data, *packed[1:]), total_length=x.shape[0])
    return [output, *[part.index_select(1, packed.unsorted_indices) for part in final]]


def _hx(state: Sequence[Tensor]) -> Any:
    """Return the state as the kernels take it: a tensor if it has one part."""
    return state[0] if len(state) == 1 else list(state)


def _lstm(x: Tensor, state_or_batch_sizes: Any, *arguments: Any) -> tuple[Tensor, ...]:
    if isinstance(state_or_batch_sizes, Tensor):  # oneDNN has no kernel for packed data: there is nothing to choose
        return torch.lstm(x, state_or_batch_sizes, *arguments)
    x, *state = cast_for_onednn([x, *state_or_batch_sizes])
    return torch.lstm(x, state, *arguments)


_KERNELS: dict[str, Any] = {"rnn_tanh": torch.rnn_tanh, "rnn_relu": torch.rnn_relu, "gru": torch.gru, "lstm": _lstm}
