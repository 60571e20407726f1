"""The operator `rnnkit::unroll` in ONNX: one node RNN, GRU or LSTM for each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from onnxscript import opset18

op: Any = opset18  # its annotations allow neither lists nor values of a graph as arguments

_INT32 = 6  # onnx.TensorProto.INT32, which `sequence_lens` must have

# For each gate in ONNX's order its place in torch's: ONNX has the gates z, r, h and i, o, f, c.
_GATES: Mapping[str, Sequence[int]] = {"rnn_tanh": [0], "rnn_relu": [0], "gru": [1, 0, 2], "lstm": [0, 3, 1, 2]}
_ACTIVATIONS = {"rnn_tanh": "Tanh", "rnn_relu": "Relu"}


def translate_unroll(  # noqa: PLR0917  # operators are called by position
    kernel: str,
    x: Any,
    state: Sequence[Any],
    weights: Sequence[Any],
    lengths: Any,
    restarts: Any,
    num_layers: int,
    bias: bool,
    bidirectional: bool,
    save: bool,  # noqa: ARG001  # for gradients
) -> list[Any]:
    """Translate `rnnkit::unroll`; it has no projection, because ONNX has none."""
    if restarts is not None:
        raise NotImplementedError("Restarts inside sequences have no ONNX operator")
    directions = 2 if bidirectional else 1
    count = len(weights) // (num_layers * directions)  # of each cell
    ends = None if lengths is None else op.Cast(lengths, to=_INT32)
    finals = []
    for layer in range(num_layers):
        cells = [weights[i * count : (i + 1) * count] for i in _cells(layer, directions)]
        initial = [op.Slice(part, [layer * directions], [(layer + 1) * directions], [0]) for part in state]
        y, *final = _layer(kernel, x, initial, cells, ends, hidden_size=state[0].shape[-1], bias=bias)
        x = _join_directions(y)
        finals.append(final)
    joined = [op.Concat(*parts, axis=0) for parts in zip(*finals, strict=True)]
    return [x, *(joined if lengths is None else _restore_empty(joined, state, lengths))]


def _cells(layer: int, directions: int) -> range:
    return range(layer * directions, (layer + 1) * directions)


def _layer(
    kernel: str,
    x: Any,
    initial: Sequence[Any],
    cells: Sequence[Sequence[Any]],
    ends: Any,
    *,
    hidden_size: int,
    bias: bool,
) -> Any:
    gates, directions = _GATES[kernel], len(cells)
    arranged = [[_arrange(weight, gates, hidden_size) for weight in cell] for cell in cells]
    w, r = (_stack([cell[i] for cell in arranged]) for i in (0, 1))
    b = _stack([op.Concat(cell[2], cell[3], axis=0) for cell in arranged]) if bias else None
    arguments = {"hidden_size": hidden_size, "direction": "bidirectional" if directions == 2 else "forward"}
    if kernel == "gru":  # torch multiplies with the reset gate after the matrix product
        return op.GRU(x, w, r, b, ends, *initial, linear_before_reset=1, **arguments)
    if kernel == "lstm":
        return op.LSTM(x, w, r, b, ends, *initial, **arguments)
    return op.RNN(x, w, r, b, ends, *initial, activations=[_ACTIVATIONS[kernel]] * directions, **arguments)


def _arrange(weight: Any, gates: Sequence[int], size: int) -> Any:
    """Reorder the gates along the first axis. The exporter computes it, as the weights are constants."""
    order = [gate * size + i for gate in gates for i in range(size)]
    return weight if len(gates) == 1 else op.Gather(weight, op.Constant(value_ints=order), axis=0)


def _stack(weights: Sequence[Any]) -> Any:
    return op.Concat(*[op.Unsqueeze(weight, [0]) for weight in weights], axis=0)


def _join_directions(y: Any) -> Any:
    """Reshape `(time, directions, batch, hidden_size)` to `(time, batch, directions * hidden_size)`."""
    return op.Reshape(op.Transpose(y, perm=[0, 2, 1, 3]), [0, 0, -1])


def _restore_empty(final: Sequence[Any], state: Sequence[Any], lengths: Any) -> list[Any]:
    """Give sequences of length 0 their initial state: ONNX Runtime returns zeros for them."""
    empty = op.Reshape(op.Equal(lengths, op.Constant(value_int=0)), [1, -1, 1])
    return [op.Where(empty, *parts) for parts in zip(state, final, strict=True)]


TRANSLATIONS: Mapping[Any, Any] = {torch.ops.rnnkit.unroll.default: translate_unroll}
