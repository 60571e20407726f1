"""The unrolled step as a function of autograd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from rnnkit.plan import unroll
from rnnkit_kernels._unrolling import Inputs, Unrolling


class UnrollFunction(torch.autograd.Function):
    """`Unrolling` with gradients. Returns the output and the parts of the final state."""

    @staticmethod
    def forward(ctx: Any, unrolling: Unrolling, state_type: Any, *tensors: Tensor) -> Any:
        inputs = divide(unrolling, tensors)
        output, final, memories = unrolling.forward(inputs)
        ctx.unrolling, ctx.state_type, ctx.names = unrolling, state_type, list(memories)
        ctx.save_for_backward(*tensors, *memories.values())
        ctx.set_materialize_grads(False)
        return (output, *final)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        saved = ctx.saved_tensors  # once: gradient checkpointing computes them again at each access
        count = len(saved) - len(ctx.names)
        tensors, memories = saved[:count], dict(zip(ctx.names, saved[count:], strict=True))
        unrolling, needed = ctx.unrolling, ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():  # `create_graph=True`: the gradient must have a gradient
            return None, None, *_differentiable_backward(unrolling, ctx.state_type, tensors, gradients, needed)
        inputs = divide(unrolling, tensors)
        grad_output, *grad_state = _without_none(unrolling, inputs, gradients)
        return None, None, *unrolling.backward(inputs, memories, grad_output, grad_state, needed)


def divide(unrolling: Unrolling, tensors: Sequence[Tensor]) -> Inputs:
    """Return the inputs of a plan from all tensors in order."""
    plan, iterator = unrolling.plan, iter(tensors)
    sizes = (len(plan.projected), len(plan.state), len(plan.products))
    projected, state, weights = ([next(iterator) for _ in range(size)] for size in sizes)
    return Inputs(projected, state, weights, list(iterator))


def _without_none(unrolling: Unrolling, inputs: Inputs, gradients: Sequence[Tensor | None]) -> list[Tensor]:
    """Replace the gradients of results that nothing depends on by zeros."""
    first, *others = gradients
    if first is None:
        zeros = torch.zeros(unrolling.plan.output, dtype=inputs.dtype)
        first = zeros.expand(unrolling.time, unrolling.batch, -1)
    states = zip(others, inputs.state, strict=True)
    return [first, *[torch.zeros_like(part) if each is None else each for each, part in states]]


def _differentiable_backward(
    unrolling: Unrolling,
    state_type: Any,
    tensors: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
    needed: Sequence[bool],
) -> list[Tensor | None]:
    """Differentiate the reference executor, which equals the step loop."""
    with torch.enable_grad():
        results = _unroll_reference(unrolling, divide(unrolling, tensors), state_type)
    pairs = [(y, g) for y, g in zip(results, gradients, strict=True) if g is not None and y.requires_grad]
    wanted = [each for each, is_needed in zip(tensors, needed, strict=True) if is_needed]
    outputs, grad_outputs = zip(*pairs, strict=True)
    found = iter(torch.autograd.grad(outputs, wanted, grad_outputs, create_graph=True, allow_unused=True))
    return [next(found) if is_needed else None for is_needed in needed]


def _unroll_reference(unrolling: Unrolling, inputs: Inputs, state_type: Any) -> list[Tensor]:
    """Run the reference executor on inputs that are computed already: of a plan that reads them as they are."""
    plan = unrolling.plan
    numbers = range(len(inputs.flat()))
    names = [f"input_{number}" for number in numbers]
    first = len(inputs.projected) + len(inputs.state)
    weights = tuple(numbers[first : first + len(inputs.weights)])
    vectors = tuple(numbers[first + len(inputs.weights) :])
    projected = tuple(numbers[: len(inputs.projected)])
    given = replace(
        plan,
        hoisted=replace(
            plan.hoisted,
            tensors=tuple((number, names[number]) for number in weights + vectors),
            calls=(),
            weights=weights,
            vectors=vectors,
        ),
        projection=replace(plan.projection, inputs=projected, calls=(), results=projected),
    )
    cell = SimpleNamespace(**dict(zip(names, inputs.flat(), strict=True)))
    output, final = unroll(given, cell, tuple(inputs.projected), state_type(*inputs.state), unrolling.lengths)
    return [output, *final]
