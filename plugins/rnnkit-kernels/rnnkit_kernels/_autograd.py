"""The unrolled step as a function of autograd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from rnnkit.plan import unroll
from rnnkit_kernels._unrolling import Unrolling


class UnrollFunction(torch.autograd.Function):
    """`Unrolling` with gradients. Returns the output and the parts of the final state."""

    @staticmethod
    def forward(ctx: Any, unrolling: Unrolling, state_type: Any, *inputs: Tensor) -> Any:
        output, final, block = unrolling.forward(inputs)
        ctx.unrolling, ctx.state_type = unrolling, state_type
        ctx.save_for_backward(*inputs, block)
        ctx.set_materialize_grads(False)
        return (output, *final)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        *inputs, block = ctx.saved_tensors  # once: gradient checkpointing computes them again at each access
        unrolling, needed = ctx.unrolling, ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():  # `create_graph=True`: the gradient must have a gradient
            return None, None, *_differentiable_backward(unrolling, ctx.state_type, inputs, gradients, needed)
        grad_output, *grad_state = gradients
        return None, None, *unrolling.backward(inputs, block, grad_output, grad_state, needed)


def _differentiable_backward(
    unrolling: Unrolling,
    state_type: Any,
    inputs: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Differentiate the reference executor, which equals the step loop."""
    with torch.enable_grad():
        results = _unroll_reference(unrolling, inputs, state_type)
    pairs = [(y, g) for y, g in zip(results, gradients, strict=True) if g is not None and y.requires_grad]
    wanted = [each for each, is_needed in zip(inputs, needed, strict=True) if is_needed]
    outputs, grad_outputs = zip(*pairs, strict=True)
    found = iter(torch.autograd.grad(outputs, wanted, grad_outputs, create_graph=True, allow_unused=True))
    return [next(found) if is_needed else None for is_needed in needed]


def _unroll_reference(unrolling: Unrolling, inputs: Sequence[Tensor], state_type: Any) -> list[Tensor]:
    """Run the reference executor on inputs that are computed already: of a plan that reads them as they are."""
    plan = unrolling.plan
    oriented = unrolling.with_oriented_weights(inputs)
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
    output, final = unroll(given, cell, tuple(projected), state_type(*state), unrolling.lengths)
    return [output, *final]
