"""Compare a plan with steps of its cell: outputs, states and gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnkit.plan.programs import Plan
from rnnkit.plan.record import flatten
from rnnkit.plan.reference import unroll
from rnnkit.plan.snapshot import cell_tensors
from rnnkit.plan.steps import Steps
from rnnkit.plan.unsupported import Unsupported

_TIME, _BATCH = 2, 3
_PROJECTED_TIME = 4  # a projection must not mix the steps of a sequence
_TOLERANCE = 1e-9
_NOISE = 9973


def verify(plan: Plan, steps: Steps) -> None:
    """Verify that a plan equals the steps of a cell.

    Args:
        plan: the plan.
        steps: the steps of a cell, which is converted to float64 and whose parameters are changed: a parameter may be
            zero, which would hide errors.

    Raises:
        Unsupported: the results differ, or are not finite, so that they do not verify anything.
    """
    generator = torch.Generator().manual_seed(0)
    _perturb(steps.cell, generator)
    _verify_gradients(plan, steps, generator)
    verify_values(plan, steps)


def verify_values(plan: Plan, steps: Steps) -> None:
    """Verify that a plan equals one step of a cell as it is: without gradients, which takes a few milliseconds.

    Args:
        plan: a plan with the programs of one that `verify` has verified for cells of other sizes.
        steps: the steps of the cell.

    Raises:
        Unsupported: the results differ, or are not finite.
    """
    generator = torch.Generator().manual_seed(0)
    for batch in (1, _BATCH):  # a step may do something else for a batch of one
        time = _PROJECTED_TIME if steps.projects else 1
        x, state = steps.random_inputs(time, batch, generator)
        masks = steps.random_masks(state, time, generator)
        with torch.no_grad():
            found = flatten(_unroll(plan, steps, x, masks, state))
        for gradients in (False, True):
            with torch.set_grad_enabled(gradients):
                expected = flatten(_step_loop(steps, x, masks, state))
            label = "result" if gradients else "result without gradients"
            for one, other in zip(expected, found, strict=True):
                _compare(label, one, other, math.sqrt(torch.finfo(x.dtype).eps))


def _verify_gradients(plan: Plan, steps: Steps, generator: torch.Generator) -> None:
    x, state = steps.random_inputs(_TIME, _BATCH, generator)
    masks = steps.random_masks(state, _TIME, generator)
    tensors = [(path, tensor) for path, tensor in cell_tensors(steps.cell) if tensor.requires_grad]
    inputs = {"input": x.requires_grad_(), **{f"state {n}": part.requires_grad_() for n, part in enumerate(state)}}
    inputs |= dict(tensors)
    found = flatten(_unroll(plan, steps, x, masks, state))
    expected = flatten(_step_loop(steps, x, masks, state))
    weights = [
        torch.randn(each.shape, generator=generator, dtype=each.dtype, device="cpu").to(each.device)
        for each in expected
    ]
    labels = ["output", *[f"final state {n}" for n in range(len(state))], *[f"gradient of {name}" for name in inputs]]
    results = [[*each, *_gradients(each, weights, list(inputs.values()))] for each in (expected, found)]
    for label, one, other in zip(labels, *results, strict=True):
        _compare(label, one, other)


def _gradients(results: Sequence[Tensor], weights: Sequence[Tensor], inputs: Sequence[Tensor]) -> Sequence[Tensor]:
    """Return the gradients of a weighted sum of results."""
    total = torch.stack([(each * weight).sum() for each, weight in zip(results, weights, strict=True)]).sum()
    return torch.autograd.grad(total, inputs, allow_unused=True, materialize_grads=True)


def _unroll(plan: Plan, steps: Steps, x: Tensor, masks: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
    return unroll(plan, steps.cell, steps.inputs(steps.read(x), masks), state)


def _step_loop(steps: Steps, x: Tensor, masks: tuple[Tensor, ...], state: Any) -> tuple[Tensor, Any]:
    outputs = []
    whole = steps.cell.project_packed(x) if steps.projects else None
    for t, x_t in enumerate(x):
        projected = _at(whole, t) if steps.projects else steps.cell.project_packed(x_t)
        output, state = steps.step(projected, tuple(mask[t] for mask in masks), state)
        outputs.append(output)
    return torch.stack(outputs), state


def _at(nested: Any, step: int) -> Any:
    return tuple(_at(each, step) for each in nested) if isinstance(nested, tuple) else nested[step]


def _perturb(cell: Any, generator: torch.Generator) -> None:
    cell.double()
    noise = 0.1 * torch.randn(_NOISE, generator=generator, dtype=torch.float64, device="cpu")
    for _, tensor in cell_tensors(cell):
        if tensor.is_floating_point():
            tensor.data = tensor.data.double().contiguous()
            for part in tensor.data.view(-1).split(_NOISE):  # in place, because a matrix may be large
                part.add_(noise[: len(part)].to(part.device))


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
