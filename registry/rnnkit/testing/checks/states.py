"""What a kind promises of its state."""

from __future__ import annotations

import io
from typing import Any

import torch
from safetensors.torch import load, save

from rnnkit import flatten_state
from rnnkit.testing.check import check
from rnnkit.testing.check_context import BATCH, DIRECTIONS, LENGTHS, TIME, CheckContext, random_state
from rnnkit.testing.comparison import leaves
from rnnkit.testing.per_sequence import batch_axes, parts_by_row, rows_of


@check("shape and state")
def state_layout(context: CheckContext) -> None:
    """`state_shapes`, `initial_state` and the state that a call returns agree in names, shapes and dtypes.

    `state_shapes` was not changed with `run` or `step`, or a plain tuple is returned for one with names.
    """
    for case in context.cases([*context.kind_under_test.variants, {"num_layers": 1}], DIRECTIONS):
        model = case.model(moved=False)
        for batch in (1, 3):
            shapes, initial = model.backbone.state_shapes(batch), model.initial_state(batch)
            _agree(context, f"initial_state({batch})", initial, f"state_shapes({batch})", shapes)
            for lengths in (None, torch.arange(batch)):
                _, final = model(case.input(batch=batch), lengths=lengths, return_state=True)
                _agree(context, "the final state", final, f"state_shapes({batch})", shapes)
                kinds = [[part.dtype for part in leaves(state)] for state in (final, initial)]
                context.that(kinds[0] == kinds[1], f"the final state has the dtypes {kinds[0]}, the initial {kinds[1]}")


@check("shape and state")
def default_initial_state(context: CheckContext) -> None:
    """A sequence starts from `initial_state` where no state is given, which has the model's dtype and device.

    `run` starts from zeros of its own, or `initial_state` ignores its `device` or `dtype`.
    """
    for case in context.cases():
        model, x = case.model(), case.input()
        initial = model.initial_state(BATCH)
        for lengths in (None, torch.tensor(LENGTHS)):
            given = model(x, initial, lengths=lengths, return_state=True)
            context.same(model(x, lengths=lengths, return_state=True), given, "without a state, the output and state")
        _is_of(context, initial, torch.device("cpu"), torch.float64)
        elsewhere = model.initial_state(BATCH, device="meta", dtype=torch.float32)
        _is_of(context, elsewhere, torch.device("meta"), torch.float32)


@check("shape and state")
def state_round_trip(context: CheckContext) -> None:
    """A state that was written with torch or safetensors and read again goes on as before, in another model too.

    Something that the next call needs is kept in the model rather than in its state.
    """
    for case in context.cases():
        model, x = case.model(), case.input()
        _, state = model(x, lengths=torch.tensor(LENGTHS), return_state=True)
        expected = model(x, state, return_state=True)
        for saved in (_through_torch(flatten_state(state)), load(save(flatten_state(state)))):
            other = case.model()
            actual = other(x, other.restore_state(saved), return_state=True)
            context.equal(actual, expected, "from the state that was read, the output and state")


@check("shape and state")
def reset_state_per_sequence(context: CheckContext) -> None:
    """With `reset_state`, some rows of a batch start anew and the others go on.

    The axis of the batch is not where `state_shapes` has it, or rows act on each other.
    """
    anew = torch.tensor([True, False, True, False])
    for case in context.cases(readout="last"):
        model, x, state = case.model(), case.input(), random_state(case.model())
        axes, start = batch_axes(model), model.initial_state(BATCH)
        reset = model.reset_state(state, anew)
        for rows, before in (([0, 2], start), ([1, 3], state)):
            after, expected = (parts_by_row(rows_of(each, axes, rows), axes) for each in (reset, before))
            context.equal(after, expected, f"after a reset of the rows 0 and 2, the state of the rows {rows}")
            if len(after) == len(leaves(state)):  # else what all rows share is not that of the start
                y, y_before = (model(x, each)[rows] for each in (reset, before))
                context.same(y, y_before, f"after a reset of the rows 0 and 2, the output of the rows {rows}")


@check("shape and state")
def zero_length_keeps_state(context: CheckContext) -> None:
    """A row of length 0 keeps the state that it came with, or the initial one.

    The first step is taken whatever the length, or the last state is looked up at the step -1.
    """
    for case in context.cases():
        model, x = case.model(), case.input()
        axes = batch_axes(model)
        for state in (None, random_state(model)):
            before = model.initial_state(BATCH) if state is None else state
            for lengths, rows in (([0] * BATCH, range(BATCH)), ([TIME, 0, 2, 0], (1, 3))):
                _, after = model(x, state, lengths=torch.tensor(lengths), return_state=True)
                kept, expected = (parts_by_row(rows_of(each, axes, rows), axes) for each in (after, before))
                context.same(kept, expected, f"with lengths={lengths}, the state of the rows of length 0")


def _through_torch(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    file = io.BytesIO()
    torch.save(tensors, file)
    file.seek(0)
    read: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    return read


def _agree(context: CheckContext, what: str, state: Any, other: str, shapes: Any) -> None:
    context.that(_layout(state) == _layout(shapes), f"{what} is {_layout(state)}, but {other} is {_layout(shapes)}")


def _layout(state: Any) -> str:
    """A state, or the shapes of one, in words: each tensor by its shape."""
    if isinstance(state, torch.Tensor | torch.Size):
        return str(tuple(state if isinstance(state, torch.Size) else state.shape))
    if not isinstance(state, tuple):
        return f"a {type(state).__name__}"
    names = [f"{name}=" for name in getattr(state, "_fields", ())] or [""] * len(state)
    parts = [name + _layout(part) for name, part in zip(names, state, strict=True)]
    return f"{type(state).__name__}({', '.join(parts)})"


def _is_of(context: CheckContext, state: Any, device: torch.device, dtype: torch.dtype) -> None:
    for part in leaves(state):
        context.that(
            part.device == device, f"initial_state gives a tensor on {part.device}, but was asked for {device}"
        )
        wrong = part.is_floating_point() and part.dtype != dtype
        context.that(not wrong, f"initial_state gives a {part.dtype} tensor, but was asked for {dtype}")
