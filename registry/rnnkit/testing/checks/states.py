"""The state."""

from __future__ import annotations

import io
from typing import Any

import torch
from safetensors.torch import load, save

from rnnkit import flatten_state
from rnnkit.testing._check import check
from rnnkit.testing._comparison import leaves
from rnnkit.testing._context import BATCH, DIRECTIONS, LENGTHS, TIME, CheckContext, random_state
from rnnkit.testing._per_sequence import batch_axes, batched_parts, select_sequences


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
                dtypes = [[part.dtype for part in leaves(state)] for state in (final, initial)]
                context.assert_true(
                    dtypes[0] == dtypes[1], f"the final state has dtypes {dtypes[0]}, the initial state {dtypes[1]}"
                )


@check("shape and state")
def default_initial_state(context: CheckContext) -> None:
    """Without a state, a call starts from `initial_state`, which has the requested dtype and device.

    `run` creates its own zeros, or `initial_state` ignores `device` or `dtype`.
    """
    for case in context.cases():
        model, x = case.model(), case.input()
        initial = model.initial_state(BATCH)
        for lengths in (None, torch.tensor(LENGTHS)):
            expected = model(x, initial, lengths=lengths, return_state=True)
            context.assert_close(
                model(x, lengths=lengths, return_state=True), expected, "without a state, the output and state"
            )
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
        for saved in (_through_torch(flatten_state(state)), load(save(flatten_state(state)))):
            other = case.model()
            actual = other(x, other.restore_state(saved), return_state=True)
            context.assert_equal(actual, expected, "from the loaded state, the output and state")


@check("shape and state")
def reset_state_per_sequence(context: CheckContext) -> None:
    """`reset_state` resets some sequences of a batch and leaves the others unchanged.

    The batch axis does not match `state_shapes`, or sequences interact.
    """
    mask = torch.tensor([True, False, True, False])
    for case in context.cases(readout="last"):
        model, x, state = case.model(), case.input(), random_state(case.model())
        axes, start = batch_axes(model), model.initial_state(BATCH)
        reset = model.reset_state(state, mask)
        for indices, before in (([0, 2], start), ([1, 3], state)):
            after, expected = (batched_parts(select_sequences(each, axes, indices), axes) for each in (reset, before))
            context.assert_equal(
                after, expected, f"after resetting sequences 0 and 2, the state of sequences {indices}"
            )
            if len(after) == len(leaves(state)):  # otherwise the shared parts are not reset
                y, y_before = (model(x, each)[indices] for each in (reset, before))
                context.assert_close(
                    y, y_before, f"after resetting sequences 0 and 2, the output of sequences {indices}"
                )


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
                kept, expected = (
                    batched_parts(select_sequences(each, axes, indices), axes) for each in (after, before)
                )
                context.assert_close(kept, expected, f"with lengths={lengths}, the state of sequences of length 0")


def _through_torch(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    file = io.BytesIO()
    torch.save(tensors, file)
    file.seek(0)
    loaded: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    return loaded


def _assert_same_layout(context: CheckContext, what: str, state: Any, other: str, shapes: Any) -> None:
    context.assert_true(
        _layout(state) == _layout(shapes), f"{what} is {_layout(state)}, but {other} is {_layout(shapes)}"
    )


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
    for part in leaves(state):
        context.assert_true(
            part.device == device, f"initial_state returns a tensor on {part.device} instead of {device}"
        )
        wrong = part.is_floating_point() and part.dtype != dtype
        context.assert_true(not wrong, f"initial_state returns a {part.dtype} tensor instead of {dtype}")
