"""The reference executor: runs a plan in torch, one instruction at a time. It is slow; other executors equal it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from rnnkit.plan.instructions import INSTRUCTIONS
from rnnkit.plan.programs import Place, Plan, Program
from rnnkit.plan.record import flatten

Values = dict[Place, Tensor]


def unroll(plan: Plan, cell: Any, projected: Any, state: Any, lengths: Tensor | None = None) -> tuple[Tensor, Any]:
    """Run a plan over a sequence. Outputs, final states and gradients equal those of the step loop.

    Args:
        plan: the plan of the cell's step.
        cell: the cell, for its parameters.
        projected: the projected input: `(time, batch, ...)`, or nested tuples of such tensors; finite past the length
            of each sequence, and otherwise arbitrary there.
        state: the state before the first step, a NamedTuple of tensors `(batch, ...)`.
        lengths: the number of valid steps of each sequence, `(batch,)`, at least 0; None: all are valid.

    Returns:
        The output, `(time, batch, features)`, zero past the length of each sequence, and the state after the last valid
        step of each sequence.
    """
    values = plan.hoisted.evaluate(cell)
    weights, vectors = plan.hoisted.select(values)
    inputs = plan.projection.evaluate(flatten(projected), values)
    time, batch = flatten(projected)[0].shape[:2]
    parts, outputs = list(flatten(state)), []
    for t in range(time):
        live = slice(None) if lengths is None else (lengths > t).nonzero().squeeze(1)
        arguments = (*[each[t, live] for each in inputs], *[part[live] for part in parts], *weights, *vectors)
        output, *after = _Step.apply(plan, *arguments)  # type: ignore[no-untyped-call]  # missing in torch's stubs
        outputs.append(_put(output.new_zeros(batch, plan.output), live, output))
        parts = [_put(part, live, new) for part, new in zip(parts, after, strict=True)]
    return torch.stack(outputs), type(state)(*parts)


class _Step(torch.autograd.Function):
    """One step as a function of the projected inputs, the parts of the state, the weights and the vectors."""

    @staticmethod
    def forward(ctx: Any, plan: Plan, *tensors: Tensor) -> Any:
        ctx.plan, ctx.values = plan, _forward(plan, tensors)
        ctx.save_for_backward(*tensors)
        return (_joined(ctx.values, "output", 0), *_shaped(ctx.values, "next_state", plan.state))

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        plan, tensors = ctx.plan, ctx.saved_tensors
        # with `create_graph=True` the gradient has a gradient, to which values that are computed here are connected
        values = _forward(plan, tensors) if torch.is_grad_enabled() else dict(ctx.values)
        values |= _pieces(plan, "grad_output", gradients[:1]) | _pieces(plan, "grad_next_state", gradients[1:])
        _, _, weights, vectors = _divide(plan, tensors)
        run(plan, plan.backward, values, weights)
        return (
            None,
            *[
                _input_gradient(plan, values, weights, number) if value is None else value
                for number, value in enumerate(_shaped(values, "grad_projected", plan.projected))
            ],
            *_shaped(values, "grad_state", plan.state),
            *[_weight_gradient(plan, values, number) for number in range(len(weights))],
            *[_vector_gradient(plan, values, number, vector) for number, vector in enumerate(vectors)],
        )


def _forward(plan: Plan, tensors: Sequence[Tensor]) -> Values:
    projected, state, weights, vectors = _divide(plan, tensors)
    values = _pieces(plan, "state", state) | _pieces(plan, "projected", projected)
    values |= _pieces(plan, "vector", [vector.unsqueeze(0) for vector in vectors])
    run(plan, plan.forward, values, weights)
    return {place: value for place, value in values.items() if place.kind not in {"temporary", "scratch"}}


def _divide(plan: Plan, tensors: Sequence[Tensor]) -> list[Sequence[Tensor]]:
    ends = list(accumulate([len(plan.projected), len(plan.state), len(plan.products)]))
    return [tensors[start:end] for start, end in pairwise([0, *ends, len(tensors)])]


def run(plan: Plan, program: Program, values: Values, weights: Sequence[Tensor]) -> None:
    """Run one step of a program, which reads and writes `values`."""
    like = values[Place("state", 0, 0)]  # a whole piece
    for stage in program.stages:
        for name, result, arguments in stage.instructions:
            tensors = [values[each] if isinstance(each, Place) else like.new_tensor(each) for each in arguments]
            rows = torch.broadcast_tensors(*tensors, like)[:-1] if name == "copy" else tensors
            values[result] = INSTRUCTIONS[name].value(*rows)
        for (kind, number), operand, weight, transposed in stage.products:
            matrix = weights[weight].t() if transposed else weights[weight]
            values |= _split(plan, kind, number, _joined(values, *operand) @ matrix)


def _input_gradient(plan: Plan, values: Values, weights: Sequence[Tensor], number: int) -> Tensor | None:
    """Return the gradient of the input of the cell; None for a mask."""
    products = [each for each in plan.input_products if plan.operands[each] == ("projected", number)]
    gradients = [_joined(values, "grad_product", each) @ weights[each].t() for each in products]
    return torch.stack(gradients).sum(0) if gradients else None


def _weight_gradient(plan: Plan, values: Values, number: int) -> Tensor | None:
    if Place("grad_product", number, 0) not in values:  # nothing depends on the product
        return None
    return _joined(values, *plan.operands[number]).t() @ _joined(values, "grad_product", number)


def _vector_gradient(plan: Plan, values: Values, number: int, vector: Tensor) -> Tensor:
    pieces = enumerate(vector.split(plan.width))
    found = [(values.get(Place("grad_vector", number, piece)), part) for piece, part in pieces]
    return torch.cat([torch.zeros_like(part) if value is None else value.sum(0) for value, part in found])


def _pieces(plan: Plan, kind: str, tensors: Sequence[Tensor]) -> Values:
    """Return the pieces of tensors of a kind."""
    pieces: Values = {}
    for number, tensor in enumerate(tensors):
        pieces |= _split(plan, kind, number, tensor.flatten(1))
    return pieces


def _split(plan: Plan, kind: str, number: int, tensor: Tensor) -> Values:
    return {Place(kind, number, piece): part for piece, part in enumerate(tensor.split(plan.width, -1))}


def _shaped(values: Values, kind: str, shapes: Sequence[Sequence[int]]) -> list[Tensor | None]:
    """Return the tensors of a kind; None for one that is not there, as the gradient of a mask."""
    return [
        _joined(values, kind, number).reshape(-1, *shape) if Place(kind, number, 0) in values else None
        for number, shape in enumerate(shapes)
    ]


def _joined(values: Values, kind: str, number: int) -> Tensor:
    parts: list[Tensor] = []
    while Place(kind, number, len(parts)) in values:
        parts.append(values[Place(kind, number, len(parts))])
    return torch.cat(parts, -1)


def _put(whole: Tensor, live: Any, part: Tensor) -> Tensor:
    """Return `whole` with its elements `live` replaced."""
    return part if isinstance(live, slice) else whole.index_copy(0, live, part)
