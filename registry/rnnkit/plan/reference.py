"""The reference executor: runs a plan in torch, one instruction at a time. It is slow; other executors equal it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

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
    time, batch = flatten(projected)[0].shape[:2]
    inputs = _Inputs(plan, lengths, time, batch, len(weights), len(vectors))
    output, *final = _Unroll.apply(  # type: ignore[no-untyped-call]  # missing in torch's stubs
        inputs, *plan.projection.evaluate(flatten(projected), values), *flatten(state), *weights, *vectors
    )
    return output, type(state)(*final)


class _Inputs(NamedTuple):
    """The arguments of `_Unroll` that have no gradients, and the division of the others."""

    plan: Plan
    lengths: Tensor | None
    time: int
    batch: int
    weights: int
    vectors: int

    def divide(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        sizes = (len(self.plan.projected), len(self.plan.state), self.weights, self.vectors)
        iterator = iter(tensors)
        return [[next(iterator) for _ in range(size)] for size in sizes]

    def live(self, time: int) -> Any:
        """Return the sequences that have not ended before a step."""
        return slice(None) if self.lengths is None else (self.lengths > time).nonzero().squeeze(1)


class _Unroll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: _Inputs, *tensors: Tensor) -> Any:
        output, final, steps = _forward(inputs, tensors)
        ctx.inputs, ctx.steps = inputs, steps
        ctx.save_for_backward(*tensors)
        return (output, *final)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        tensors, steps = ctx.saved_tensors, ctx.steps
        if (
            torch.is_grad_enabled()
        ):  # `create_graph=True`: the gradient has a gradient, to which these steps are connected
            _, _, steps = _forward(ctx.inputs, tensors)
        return (None, *_backward(ctx.inputs, tensors, steps, gradients))


def _forward(inputs: _Inputs, tensors: Sequence[Tensor]) -> tuple[Tensor, list[Tensor], list[Values]]:
    plan = inputs.plan
    projected, state, weights, vectors = inputs.divide(tensors)
    like = tensors[0]
    outputs, steps = [], []
    for t in range(inputs.time):
        live = inputs.live(t)
        values = _pieces(plan, projected=[each[t, live] for each in projected], state=[each[live] for each in state])
        values |= _vector_pieces(plan, vectors)
        run(plan, plan.forward, values, weights)
        after = [_joined(values, "next_state", n).reshape(-1, *shape) for n, shape in enumerate(plan.state)]
        outputs.append(_put(like.new_zeros(inputs.batch, plan.output), live, _joined(values, "output", 0)))
        state = [_put(before, live, new) for before, new in zip(state, after, strict=True)]
        steps.append(values)
    return torch.stack(outputs), [each.clone() for each in state], steps


def _backward(inputs: _Inputs, tensors: Sequence[Tensor], steps: list[Values], gradients: Sequence[Tensor]) -> Any:
    plan = inputs.plan
    projected, _, weights, vectors = inputs.divide(tensors)
    grad_output, *grad_state = gradients
    of_projected = [torch.zeros_like(each) for each in projected]
    of_weights, of_vectors = ([torch.zeros_like(each) for each in group] for group in (weights, vectors))
    for t in reversed(range(len(steps))):
        live = inputs.live(t)
        values = {place: value for place, value in steps[t].items() if place.kind not in {"temporary", "scratch"}}
        before = [each[live] for each in grad_state]
        values |= _pieces(plan, grad_output=[grad_output[t, live]], grad_next_state=before)
        run(plan, plan.backward, values, weights)
        for number, each in enumerate(of_projected):
            if Place("grad_projected", number, 0) not in values:  # a mask
                continue
            each[t, live] = _joined(values, "grad_projected", number).reshape(-1, *each.shape[2:])
        for number, shape in enumerate(plan.state):
            new = _joined(values, "grad_state", number).reshape(-1, *shape)
            grad_state[number] = _put(grad_state[number], live, new)
        _add_weight_gradients(plan, values, of_weights)
        _add_vector_gradients(plan, values, of_vectors)
    return *of_projected, *grad_state, *of_weights, *of_vectors


def run(plan: Plan, program: Program, values: Values, weights: Sequence[Tensor]) -> None:
    """Run one step of a program, which reads and writes `values`."""
    like = next(iter(values.values()))
    for stage in program.stages:
        for name, result, arguments in stage.instructions:
            tensors = [values[each] if isinstance(each, Place) else like.new_tensor(each) for each in arguments]
            rows = torch.broadcast_tensors(*tensors, like)[:-1] if name == "copy" else tensors
            values[result] = INSTRUCTIONS[name].value(*rows)
        for (kind, number), operand, weight, transposed in stage.products:
            matrix = weights[weight].t() if transposed else weights[weight]
            values |= _split(plan, kind, number, _joined(values, *operand) @ matrix)


def _add_weight_gradients(plan: Plan, values: Values, sums: list[Tensor]) -> None:
    for number, total in enumerate(sums):
        if Place("grad_product", number, 0) in values:
            gradient = _joined(values, *plan.operands[number]).t() @ _joined(values, "grad_product", number)
            total.add_(gradient)


def _add_vector_gradients(plan: Plan, values: Values, sums: list[Tensor]) -> None:
    for place, value in values.items():
        if place.kind == "grad_vector":
            columns = slice(place.piece * plan.width, (place.piece + 1) * plan.width)
            sums[place.number][columns] += value.sum(0)


def _pieces(plan: Plan, **tensors: list[Tensor]) -> Values:
    """Return the pieces of tensors of some kinds."""
    pieces: Values = {}
    for kind, each in tensors.items():
        for number, tensor in enumerate(each):
            pieces |= _split(plan, kind, number, tensor.flatten(1))
    return pieces


def _vector_pieces(plan: Plan, vectors: list[Tensor]) -> Values:
    return {
        place: piece
        for number, vector in enumerate(vectors)
        for place, piece in _split(plan, "vector", number, vector.unsqueeze(0)).items()
    }


def _split(plan: Plan, kind: str, number: int, tensor: Tensor) -> Values:
    return {Place(kind, number, piece): part for piece, part in enumerate(tensor.split(plan.width, -1))}


def _joined(values: Values, kind: str, number: int) -> Tensor:
    parts: list[Tensor] = []
    while Place(kind, number, len(parts)) in values:
        parts.append(values[Place(kind, number, len(parts))])
    return torch.cat(parts, -1)


def _put(whole: Tensor, live: Any, part: Tensor) -> Tensor:
    """Return `whole` with its elements `live` replaced."""
    return part if isinstance(live, slice) else whole.index_copy(0, live, part)
