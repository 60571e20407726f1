"""The operator `rnnkit::unroll`: torch's recurrent kernels as one node of a traced program.

`torch.compile` and `torch.export` would expand a kernel into one node for each step, and cannot trace packing. They see
this operator as a whole, for any batch, number of steps, lengths and restarts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit import OperatorGraph, RestartSegments
from rnnkit_builtin._autocast import cast_for_autocast
from rnnkit_builtin._exporting import is_exporting
from rnnkit_builtin._kernels import Layers, run_kernel


def unroll_layers(
    layers: Layers,
    x: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    restarts: Tensor | None = None,
    *,
    dropout: float,
) -> list[Tensor]:
    """Compute `run_kernel` by the operator, with lengths in [0, time]; a sequence of length 0 keeps its state.

    Before the steps where `restarts`, `(time, batch)`, is True, a sequence starts again from zeros.
    """
    if x.shape[0] == 1 and lengths is None and restarts is None and not is_exporting():
        # torch expands one step into a few operations, whose call costs less than that of a custom operator
        return run_kernel(layers, x, state, weights, None, dropout=dropout)
    # autocast does not see the kernel inside the operator
    x, *state = cast_for_autocast([x, *state])
    weights = cast_for_autocast(weights)
    if dropout == 0 or layers.num_layers == 1:
        return _unroll(layers, x, state, weights, lengths, restarts)
    # one call for each layer: dropout inside would need the same mask again whenever the backward runs the kernel again
    finals: list[list[Tensor]] = []
    directions, cells = 2 if layers.bidirectional else 1, state[0].shape[0]
    each = len(weights) // cells
    for first in range(0, cells, directions):
        last = first + directions
        x = F.dropout(x, dropout) if first > 0 else x
        layer_state = [part[first:last] for part in state]
        one = layers._replace(num_layers=1)
        x, *final = _unroll(one, x, layer_state, weights[first * each : last * each], lengths, restarts)
        finals.append(final)
    return [x, *[torch.cat(parts) for parts in zip(*finals, strict=True)]]


def _unroll(
    layers: Layers,
    x: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    restarts: Tensor | None,
) -> list[Tensor]:
    inputs = [x, *state, *weights]
    save = torch.is_grad_enabled() and not is_exporting() and any(tensor.requires_grad for tensor in inputs)
    result: list[Tensor] = unroll(layers.kernel, x, list(state), list(weights), lengths, restarts, *layers[1:], save)
    return result[: 1 + len(state)]


# lengths are read on the CPU, and what is saved for the backward is found by an address: neither can be replayed
_TAGS: Any = {"tags": (torch.Tag.cudagraph_unsafe,)} if hasattr(torch.Tag, "cudagraph_unsafe") else {}


_ARGUMENTS = (
    "str kernel, Tensor x, Tensor[] state, Tensor[] weights, Tensor? lengths, Tensor? restarts, SymInt num_layers, "
    "bool bias, bool bidirectional"
)


# with a schema, since torch 2.6 reads none from `list[Tensor]`
@torch.library.custom_op("rnnkit::unroll", mutates_args=(), schema=f"({_ARGUMENTS}, bool save) -> Tensor[]", **_TAGS)
def unroll(
    kernel: str,
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    lengths: Tensor | None,
    restarts: Tensor | None,
    num_layers: int,
    bias: bool,
    bidirectional: bool,
    save: bool,
) -> list[Tensor]:
    """Run a recurrent kernel over whole sequences.

    Args:
        kernel: the name of the kernel.
        x: `(time, batch, input_size)`; arbitrary past the length of each sequence.
        state: the parts of the initial state, `(num_layers * directions, batch, features)` each; the first is the one
            that the kernel outputs.
        weights: the weights of each cell, in the order of `nn.RNNBase`.
        lengths: number of valid steps of each sequence, `(batch,)`, int64 in [0, time]; None: all are valid.
        restarts: True at the steps before which a sequence starts again from zeros, `(time, batch)`; None: there are
            none. With restarts, the initial state of the reverse direction must be zeros.
        num_layers: number of layers.
        bias: True if the weights of each cell include two biases.
        bidirectional: True if every second cell reads the sequences in reverse.
        save: True to return what the backward needs as well.

    Returns:
        The output, `(time, batch, directions * features)`, zeros past the length of each sequence; the parts of the
        final state, in which a sequence of length 0 keeps its initial state; and with `save` one tensor for the
        backward, without meaning elsewhere.
    """
    layers = Layers(kernel, num_layers, bias, bidirectional)
    if not save:
        return [part.contiguous() for part in _compute(layers, x, state, weights, lengths, restarts)]
    graph = _record(layers, x, state, weights, lengths, restarts)
    # clone: a compiler may write into these tensors once their last reader has run, and the graph still reads them
    return [*[part.detach().clone(memory_format=torch.contiguous_format) for part in graph.outputs], graph.keep()]


@unroll.register_fake
def _(
    kernel: str,
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    lengths: Tensor | None,
    restarts: Tensor | None,
    num_layers: int,
    bias: bool,
    bidirectional: bool,
    save: bool,
) -> list[Tensor]:
    features = (2 if bidirectional else 1) * state[0].shape[-1]
    output = x.new_empty(x.shape[0], x.shape[1], features)
    final = [part.new_empty(part.shape) for part in state]
    return [output, *final, *([torch.empty(1, dtype=torch.int8, device="cpu")] if save else [])]


def _compute(
    layers: Layers,
    x: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    restarts: Tensor | None,
) -> list[Tensor]:
    """Compute `run_kernel` with lengths in [0, time] and restarts, in the dtype of the arguments."""
    with torch.autocast(x.device.type, enabled=False):
        if restarts is not None and restarts.any():
            return _compute_segments(layers, x, state, weights, lengths, restarts)
        return _compute_sequences(layers, x, state, weights, lengths)


def _compute_sequences(
    layers: Layers, x: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor], lengths: Tensor | None
) -> list[Tensor]:
    if lengths is None:
        return run_kernel(layers, x, state, weights, None)
    # torch's packing refuses sequences of length 0: they run one step, which is undone here
    output, *final = run_kernel(layers, x, state, weights, lengths.clamp(min=1))
    empty = (lengths == 0).unsqueeze(-1)
    output = output.masked_fill(empty, 0)
    return [output, *[torch.where(empty, *parts) for parts in zip(state, final, strict=True)]]


def _compute_segments(
    layers: Layers,
    x: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    restarts: Tensor,
) -> list[Tensor]:
    segments = RestartSegments.of(restarts.t(), lengths)
    is_reset = segments.is_reset.unsqueeze(-1)
    state = [part.index_select(1, segments.sequence).masked_fill(is_reset, 0) for part in state]
    parts = segments.split(x.transpose(0, 1)).transpose(0, 1)
    output, *final = _compute_sequences(layers, parts, state, weights, segments.lengths)
    output = segments.join(output.transpose(0, 1)).transpose(0, 1)
    return [output, *[part.index_select(1, segments.last) for part in final]]


def _record(
    layers: Layers,
    x: Tensor,
    state: Sequence[Tensor],
    weights: Sequence[Tensor],
    lengths: Tensor | None,
    restarts: Tensor | None,
) -> OperatorGraph:
    with OperatorGraph.recording():
        x, *state = [tensor.detach().clone().requires_grad_() for tensor in (x, *state)]
        weights = [_unshared(weight).requires_grad_() for weight in weights]
        return OperatorGraph(_compute(layers, x, state, weights, lengths, restarts), [x, *state, *weights])


def _unshared(weight: Tensor) -> Tensor:
    # clone: as in `unroll`; a compiler never writes into a parameter
    return weight.detach() if isinstance(weight, nn.Parameter) else weight.detach().clone()


@torch.library.custom_op(
    "rnnkit::unroll_backward",
    mutates_args=(),
    schema=f"(Tensor[] gradients, Tensor[] saved, bool[] needed, {_ARGUMENTS}) -> Tensor[]",
    **_TAGS,
)
def unroll_backward(
    gradients: list[Tensor],
    saved: list[Tensor],
    needed: list[bool],
    kernel: str,
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    lengths: Tensor | None,
    restarts: Tensor | None,
    num_layers: int,
    bias: bool,
    bidirectional: bool,
) -> list[Tensor]:
    """Compute the gradients of `unroll`.

    Args:
        gradients: the gradients of the output and of each part of the final state.
        saved: the tensor that `unroll` returned for the backward; empty without `save`, which runs the kernel again.
        needed: for x, each part of the state and each weight, True if its gradient is returned.
        kernel: as in `unroll`, and so the following.
        x: as in `unroll`.
        state: as in `unroll`.
        weights: as in `unroll`.
        lengths: as in `unroll`.
        restarts: as in `unroll`.
        num_layers: as in `unroll`.
        bias: as in `unroll`.
        bidirectional: as in `unroll`.

    Returns:
        The gradients that are needed, in the order of `needed`.
    """
    graph = OperatorGraph.pop(saved[0]) if saved else None
    if graph is None:
        graph = _record(Layers(kernel, num_layers, bias, bidirectional), x, state, weights, lengths, restarts)
    return graph.gradients(gradients, needed)


@unroll_backward.register_fake
def _(
    gradients: list[Tensor],
    saved: list[Tensor],
    needed: list[bool],
    kernel: str,
    x: Tensor,
    state: list[Tensor],
    weights: list[Tensor],
    lengths: Tensor | None,
    restarts: Tensor | None,
    num_layers: int,
    bias: bool,
    bidirectional: bool,
) -> list[Tensor]:
    pairs = zip([x, *state, *weights], needed, strict=True)
    return [each.new_empty(each.shape) for each, is_needed in pairs if is_needed]


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: list[Tensor]) -> None:
    kernel, x, state, weights, lengths, restarts, num_layers, bias, bidirectional, _ = inputs
    ctx.kernel, ctx.settings = kernel, (num_layers, bias, bidirectional)
    masks = [[] if each is None else [each] for each in (lengths, restarts)]
    groups = [[x], state, weights, *masks]
    ctx.sizes = [len(group) for group in groups]
    ctx.save_for_backward(*[tensor for group in groups for tensor in group], *output[1 + len(state) :])


def _backward(ctx: Any, gradients: list[Tensor]) -> tuple[Any, ...]:
    tensors = iter(ctx.saved_tensors)
    [x], state, weights, lengths, restarts = [[next(tensors) for _ in range(size)] for size in ctx.sizes]
    needs_x, needs_state, needs_weights = ctx.needs_input_grad[1:4]
    needed = [needs_x, *needs_state, *needs_weights]
    found = iter(
        unroll_backward(
            gradients[: 1 + len(state)],
            list(tensors),
            needed,
            ctx.kernel,
            x,
            state,
            weights,
            lengths[0] if lengths else None,
            restarts[0] if restarts else None,
            *ctx.settings,
        )
    )
    of_x, *others = [next(found) if is_needed else None for is_needed in needed]
    return None, of_x, others[: len(state)], others[len(state) :], None, None, None, None, None, None


unroll.register_autograd(_backward, setup_context=_save_for_backward)


def _refuse_double_backward(_ctx: Any, *_gradients: Any) -> Any:
    raise RuntimeError(
        "The gradient of a gradient is not available in a traced program: call the model without torch.compile and "
        "torch.export"
    )


unroll_backward.register_autograd(_refuse_double_backward)
