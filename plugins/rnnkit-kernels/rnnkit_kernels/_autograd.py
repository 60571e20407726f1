"""Layers as a function of autograd."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from rnnkit.plan import unroll
from rnnkit_kernels._layers import Layer, Layers


class LayersFunction(torch.autograd.Function):
    """`Layers` with gradients. Takes the tensors of `own`; returns the output and the parts of the final states."""

    @staticmethod
    def forward(ctx: Any, layers: Layers, *own: Tensor) -> Any:
        results, passes = layers.run(keep=True)
        # not the layers themselves, which would keep the tensors past `save_for_backward`
        ctx.layers = [layer._replace(own=[]) for layer in layers.layers]
        ctx.counts = [len(layer.own) for layer in layers.layers]
        ctx.unrollings, ctx.lengths = [each.unrolling for each in passes], layers.lengths
        between = [each.inputs[0] for each in passes[1:]]
        ctx.save_for_backward(*own, *between, *[each.block for each in passes])
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        saved = ctx.saved_tensors  # once: gradient checkpointing computes them again at each access
        own, kept, needed = saved[: sum(ctx.counts)], saved[sum(ctx.counts) :], ctx.needs_input_grad[1:]
        gradients = tuple([None if each is None else _in_memory(each) for each in gradients])
        if torch.is_grad_enabled():  # `create_graph=True`: the gradient must have a gradient
            layers = [layer._replace(own=part) for layer, part in zip(ctx.layers, _split(own, ctx.counts), strict=True)]
            return None, *_differentiable_backward(layers, ctx.lengths, own, gradients, needed)
        count = len(ctx.layers)
        between, blocks = ([], *[[each] for each in kept[: count - 1]]), kept[count - 1 :]
        grad_output, *grad_states = gradients
        of_states = list(_split(grad_states, [len(unrolling.plan.state) for unrolling in ctx.unrollings]))
        each_own, each_needed = list(_split(own, ctx.counts)), list(_split(needed, ctx.counts))
        found: list[Tensor | None] = []
        for n in reversed(range(count)):
            below = [True] * len(between[n])
            inputs = [*between[n], *each_own[n]]
            result = ctx.unrollings[n].backward(inputs, blocks[n], grad_output, of_states[n], [*below, *each_needed[n]])
            grad_output = result[0]
            found = result[len(below) :] + found
        return None, *found


def _in_memory(gradient: Tensor) -> Tensor:
    """Return a gradient whose values are in its memory, which is what the library reads.

    Raises:
        RuntimeError: the gradient is batched or sparse.
    """
    try:
        address = gradient.data_ptr()
    except RuntimeError:
        raise RuntimeError(
            "rnnkit-kernels cannot compute batched gradients (is_grads_batched=True, vectorize=True) or sparse ones: "
            "set model.backbone.force_step_loop = True, or RNNKIT_EXECUTORS= in the environment for 'rnn', 'gru' and "
            "'lstm'"
        ) from None
    if address == 0 and gradient.numel():  # zeros for which torch allocates no memory
        return torch.zeros(gradient.shape, dtype=gradient.dtype)
    return gradient.resolve_neg() if gradient.is_neg() else gradient


def _split(tensors: Sequence[Any], counts: Sequence[int]) -> Iterator[list[Any]]:
    start = 0
    for count in counts:
        yield list(tensors[start : start + count])
        start += count


def _differentiable_backward(
    layers: Sequence[Layer],
    lengths: Tensor | None,
    own: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Differentiate the reference executor, which equals the step loop."""
    with torch.enable_grad():
        results = _unroll_reference(layers, lengths)
    pairs = [(y, g) for y, g in zip(results, gradients, strict=True) if g is not None and y.requires_grad]
    wanted = [each for each, is_needed in zip(own, needed, strict=True) if is_needed]
    outputs, grad_outputs = zip(*pairs, strict=True)
    found = iter(torch.autograd.grad(outputs, wanted, grad_outputs, create_graph=True, allow_unused=True))
    return [next(found) if is_needed else None for is_needed in needed]


def _unroll_reference(layers: Sequence[Layer], lengths: Tensor | None) -> list[Tensor]:
    """Run the reference executor on inputs that are computed already: of plans that read them as they are."""
    below: list[Tensor] = []
    states: list[Tensor] = []
    for tables, state_type, own in layers:
        plan = tables.plan
        oriented = tables.with_oriented_weights([*below, *own])
        names = [f"input_{number}" for number in range(len(oriented))]
        first, count = len(plan.projected), len(plan.state)
        projected, state = oriented[:first], oriented[first : first + count]
        parameters = range(first + count, len(oriented))
        weights, vectors = parameters[: len(plan.products)], parameters[len(plan.products) :]
        given = replace(
            plan,
            hoisted=replace(
                plan.hoisted,
                tensors=tuple((number, names[number]) for number in parameters),
                calls=(),
                weights=tuple(weights),
                vectors=tuple(vectors),
            ),
            projection=replace(plan.projection, inputs=tuple(range(first)), calls=(), results=tuple(range(first))),
        )
        cell = SimpleNamespace(**dict(zip(names, oriented, strict=True)))
        output, final = unroll(given, cell, tuple(projected), state_type(*state), lengths)
        below = [output]
        states += final
    return below + states
