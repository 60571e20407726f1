"""Compare a plan with steps of its cell: outputs, states and gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from rnnkit.plan.programs import Plan
from rnnkit.plan.record import flatten
from rnnkit.plan.reference import unroll
from rnnkit.plan.snapshot import cell_tensors
from rnnkit.plan.unsupported import Unsupported

_TIME, _BATCH = 2, 3
_TOLERANCE = 1e-9
_NOISE = 997


def verify(plan: Plan, cell: Any) -> None:
    """Verify that a plan equals the step of a cell.

    Args:
        plan: the plan.
        cell: the cell, which is converted to float64 and whose parameters are changed: a parameter may be zero, which
            would hide errors.

    Raises:
        Unsupported: the results differ, or are not finite, so that they do not verify anything.
    """
    generator = torch.Generator().manual_seed(0)
    _perturb(cell, generator)
    _verify_steps(plan, cell, _BATCH, generator)
    verify_values(plan, cell)


def verify_values(plan: Plan, cell: Any) -> None:
    """Verify that a plan equals one step of a cell as it is: without gradients, which takes a few milliseconds.

    Args:
        plan: a plan with the programs of one that `verify` has verified for cells of other sizes.
        cell: the cell.

    Raises:
        Unsupported: the results differ, or are not finite.
    """
    generator = torch.Generator().manual_seed(0)
    like = next(tensor for _, tensor in cell_tensors(cell) if tensor.is_floating_point())
    for batch in (1, _BATCH):  # a step may do something else for a batch of one
        x = torch.randn(1, batch, cell.input_size, generator=generator, dtype=like.dtype).to(like.device)
        shapes = cell.state_shapes(batch)
        state = type(shapes)(
            *[torch.randn(shape, generator=generator, dtype=like.dtype).to(like.device) for shape in shapes]
        )
        with torch.no_grad():
            found = flatten(unroll(plan, cell, cell.project(x), state))
        for gradients in (False, True):
            with torch.set_grad_enabled(gradients):
                expected = flatten(_steps(cell, cell.project(x), state))
            for one, other in zip(expected, found, strict=True):
                _compare("result", one, other, math.sqrt(torch.finfo(like.dtype).eps))


def _verify_steps(plan: Plan, cell: Any, batch: int, generator: torch.Generator) -> None:
    device = next(tensor.device for _, tensor in cell_tensors(cell) if tensor.is_floating_point())

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(device).requires_grad_()

    structure = cell.project(torch.zeros(_TIME, batch, cell.input_size, dtype=torch.float64, device=device))
    projected = tuple(random(*each.shape) for each in flatten(structure))
    state = type(cell.state_shapes(batch))(*[random(batch, *shape) for shape in plan.state])
    inputs = _inputs(cell, projected, state)
    weights = [random(_TIME, batch, plan.output), *[random(*part.shape) for part in state]]
    expected = _evaluate(*_steps(cell, _restore(structure, iter(projected)), state), weights, list(inputs.values()))
    with torch.no_grad():
        inference = flatten(_steps(cell, _restore(structure, iter(projected)), state))
    found = _evaluate(*unroll(plan, cell, projected, state), weights, list(inputs.values()))
    labels = ["output", *[f"final state {n}" for n in range(len(state))], *[f"gradient of {name}" for name in inputs]]
    for label, one, other in zip(labels, expected, found, strict=True):
        _compare(label, one, other)
    for label, one, other in zip(labels, inference, found, strict=False):
        _compare(f"{label} without gradients", one, other)


def _inputs(cell: Any, projected: Sequence[Tensor], state: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return the tensors that have gradients, by their names in messages."""
    return {
        **{f"projected input {number}": tensor for number, tensor in enumerate(projected)},
        **{f"state {number}": tensor for number, tensor in enumerate(state)},
        **{path: tensor for path, tensor in cell_tensors(cell) if tensor.requires_grad},
    }


def _perturb(cell: Any, generator: torch.Generator) -> None:
    cell.double()
    noise = torch.randn(_NOISE, generator=generator, dtype=torch.float64)
    for _, tensor in cell_tensors(cell):
        if tensor.is_floating_point():
            repeated = noise.repeat(tensor.numel() // _NOISE + 1)[: tensor.numel()].view(tensor.shape)
            tensor.data = torch.add(tensor.data.double(), repeated.to(tensor.device), alpha=0.1)


def _steps(cell: Any, projected: Any, state: Any) -> tuple[Tensor, Any]:
    outputs = []
    for t in range(len(flatten(projected)[0])):
        output, state = cell.step(_at(projected, t), state)
        outputs.append(output)
    return torch.stack(outputs), state


def _at(nested: Any, t: int) -> Any:
    return tuple(_at(each, t) for each in nested) if isinstance(nested, tuple) else nested[t]


def _restore(structure: Any, tensors: Iterator[Tensor]) -> Any:
    """Return tensors in the nested tuples of `structure`."""
    if isinstance(structure, tuple):
        return tuple(_restore(each, tensors) for each in structure)
    return next(tensors)


def _evaluate(output: Tensor, state: Any, weights: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[Tensor]:
    """Return the results, and the gradients of a weighted sum of them."""
    results = [output, *flatten(state)]
    total = torch.stack([(each * weight).sum() for each, weight in zip(results, weights, strict=True)]).sum()
    gradients = torch.autograd.grad(total, inputs, allow_unused=True)
    zeros = [torch.zeros_like(each) if grad is None else grad for each, grad in zip(inputs, gradients, strict=True)]
    return [*results, *zeros]


def _compare(label: str, expected: Tensor, found: Tensor, tolerance: float = _TOLERANCE) -> None:
    if not expected.numel():
        return
    scale = _largest(expected)
    if not math.isfinite(scale):
        raise Unsupported(f"the {label} of two steps is not finite, so that the plan cannot be verified")
    difference = _largest(expected - found)
    if not difference <= tolerance * (1 + scale):
        raise Unsupported(f"the {label} of the plan differs from that of two steps by {difference:.2g}")


def _largest(tensor: Tensor) -> float:
    """Return the largest absolute value, or NaN if there is one."""
    low, high = map(float, tensor.detach().aminmax())
    return max(-low, high)
