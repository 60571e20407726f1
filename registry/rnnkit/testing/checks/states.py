"""The state."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import torch
from safetensors.torch import load, save

from rnnkit import flatten_state
from rnnkit.testing._check import check
from rnnkit.testing._comparison import leaves
from rnnkit.testing._context import BATCH, DIRECTIONS, LENGTHS, TIME, CheckContext, random_state
from rnnkit.testing._per_sequence import batch_axes, batched_parts, select_sequences
from rnnkit.testing.checks.serialization import through_torch

# Each index, and the positions that it selects
_SELECTIONS = (([2, 0, 0, 3, 1], [2, 0, 0, 3, 1]), ([1], [1]), ([False, True, True, False], [1, 2]))


@check("shape and state")
def state_layout(context: CheckContext) -> None:
    """`state_shapes`, `initial_state` and the returned state agree in field names, shapes and dtypes.

    `state_shapes` does not match `run` or `step`, or a plain tuple is returned instead of a named tuple.
    """
    for case in context.cases([*context.kind.variants, {"num_layers": 1}], DIRECTIONS):
        model = case.model(perturb=False)
        for batch in (1, 3):
            shapes, initial = model.backbone.state_shapes(batch), model.initial_state(batch)
            _assert_same_layout(context, f"initial_state({batch})", initial, f"state_shapes({batch})", shapes)
            for lengths in (None, torch.arange(batch)):
                _, final = model(case.input(batch=batch), lengths=lengths, return_state=True)
                _assert_same_layout(context, "the final state", final, f"state_shapes({batch})", shapes)
                found, expected = ([part.dtype for part in leaves(state)] for state in (final, initial))
                same = found == expected
                context.assert_true(same, f"the final state has dtypes {found}, the initial state {expected}")


@check("shape and state")
def default_initial_state(context: CheckContext) -> None:
    """Without a state, a call starts from `initial_state`, which has the requested dtype and device.

    `run` creates its own zeros, or `initial_state` ignores `device` or `dtype`.
    """
    for case in context.cases():
        model, x = case.model(), case.input()
        initial = model.initial_state(BATCH)
        for lengths in (None, torch.tensor(LENGTHS)):
            actual = model(x, lengths=lengths, return_state=True)
            expected = model(x, initial, lengths=lengths, return_state=True)
            context.assert_close(actual, expected, "without a state, the output and state")
        _assert_placement(context, initial, torch.device("cpu"), torch.float64)
        on_meta = model.initial_state(BATCH, device="meta", dtype=torch.float32)
        _assert_placement(context, on_meta, torch.device("meta"), torch.float32)


@check("shape and state")
def state_round_trip(context: CheckContext) -> None:
    """A state that is saved and loaded with torch or safetensors continues the sequence, also in another model.

    A value that the next call needs is stored in the model instead of the state.
    """
    for case in context.cases():
        model, x = case.model(), case.input()
        _, state = model(x, lengths=torch.tensor(LENGTHS), return_state=True)
        expected = model(x, state, return_state=True)
        tensors = flatten_state(state)
        for saved in (through_torch(tensors, weights_only=True), load(save(tensors))):
            other = case.model()
            actual = other(x, other.restore_state(saved), return_state=True)
            context.assert_equal(actual, expected, "from the loaded state, the output and state")


@check("shape and state")
def reset_state_per_sequence(context: CheckContext) -> None:
    """`reset_state` resets some sequences of a batch and leaves the others unchanged.

    The batch axis does not match `state_shapes`, sequences interact, or the given state is modified.
    """
    mask = torch.tensor([True, False, True, False])
    for case in context.cases(readout="last"):
        model, x, state = case.setup()
        axes, start = batch_axes(model), model.initial_state(BATCH)
        copy = deepcopy(state)
        reset = model.reset_state(state, mask)
        context.assert_equal(state, copy, "after reset_state, the state that was given")
        for indices, before in (([0, 2], start), ([1, 3], state)):
            after, expected = (_parts_of(each, axes, indices) for each in (reset, before))
            what = f"of sequences {indices}"
            context.assert_equal(after, expected, f"after resetting sequences 0 and 2, the state {what}")
            if len(after) == len(leaves(state)):  # otherwise the shared parts are not reset
                y, y_before = (model(x, each)[indices] for each in (reset, before))
                context.assert_close(y, y_before, f"after resetting sequences 0 and 2, the output {what}")


@check("shape and state")
def selected_states_continue(context: CheckContext) -> None:
    """`select_state` selects, reorders and repeats states, which continue as in a batch of the selected sequences.

    An override of `select_state` leaves out a part of the state, selects along another axis, or takes no mask.
    """
    for case in context.cases_in_both_layouts():
        model, x = case.model(), case.input()
        _, state = model(x, return_state=True)
        for index, positions in _SELECTIONS:
            selected = x.index_select(1 - case.time_axis, torch.tensor(positions))
            _, expected = model(selected, return_state=True)
            actual = model.select_state(state, index)
            found, wanted = (batched_parts(each, batch_axes(model)) for each in (actual, expected))
            context.assert_close(found, wanted, f"by sequence, select_state(state, {index})")
            after, expected_after = (model(selected, each) for each in (actual, expected))
            context.assert_close(after, expected_after, f"after select_state(state, {index}), the output")


@check("shape and state")
def zero_length_keeps_state(context: CheckContext) -> None:
    """A sequence of length 0 keeps its initial state.

    The first step is always computed, or the final state is taken from step -1.
    """
    for case in context.cases():
        model, x = case.model(), case.input()
        axes = batch_axes(model)
        for state in (None, random_state(model)):
            before = model.initial_state(BATCH) if state is None else state
            for lengths, indices in (([0] * BATCH, range(BATCH)), ([TIME, 0, 2, 0], (1, 3))):
                _, after = model(x, state, lengths=torch.tensor(lengths), return_state=True)
                kept, expected = (_parts_of(each, axes, indices) for each in (after, before))
                context.assert_close(kept, expected, f"with lengths={lengths}, the state of sequences of length 0")


def _parts_of(state: Any, axes: Any, sequences: Sequence[int]) -> list[torch.Tensor]:
    return batched_parts(select_sequences(state, axes, sequences), axes)


def _assert_same_layout(context: CheckContext, what: str, state: Any, other: str, shapes: Any) -> None:
    found, expected = _layout(state), _layout(shapes)
    context.assert_true(found == expected, f"{what} is {found}, but {other} is {expected}")


def _layout(state: Any) -> str:
    """The text of a state, or of its shapes, with the shape of each tensor."""
    if isinstance(state, torch.Tensor | torch.Size):
        return str(tuple(state if isinstance(state, torch.Size) else state.shape))
    if not isinstance(state, tuple):
        return f"a {type(state).__name__}"
    names = [f"{name}=" for name in getattr(state, "_fields", ())] or [""] * len(state)
    parts = [name + _layout(part) for name, part in zip(names, state, strict=True)]
    return f"{type(state).__name__}({', '.join(parts)})"


def _assert_placement(context: CheckContext, state: Any, device: torch.device, dtype: torch.dtype) -> None:
    what = "initial_state returns a"
    for part in leaves(state):
        context.assert_true(part.device == device, f"{what} tensor on {part.device} instead of {device}")
        wrong = part.is_floating_point() and part.dtype != dtype
        context.assert_true(not wrong, f"{what} {part.dtype} tensor instead of {dtype}")
