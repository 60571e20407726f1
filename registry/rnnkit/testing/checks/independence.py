"""What a kind promises to leave alone, and to be independent of."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnkit import build_model, map_state
from rnnkit.testing.check import check
from rnnkit.testing.check_context import BATCH, BATCH_AXES, DIRECTIONS, LENGTHS, TIME, Case, CheckContext, random_state
from rnnkit.testing.per_sequence import batch_axes, each_row_alone, parts_by_row


@check("numerics")
def inputs_are_not_modified(context: CheckContext) -> None:
    """A call changes neither its input, nor the state and lengths; in evaluation it changes nothing in the model.

    An operation in place, such as `add_` or `x[...] =`, acts on what was given.
    """
    for case in context.cases([*context.kind_under_test.variants, *BATCH_AXES[1:]], DIRECTIONS):
        model, state, lengths = case.model(), random_state(case.model()), torch.tensor(LENGTHS)
        given = {"x": case.input(), "state": state, "lengths": lengths}
        copies, weights = _copy(given), _copy(model.state_dict())
        for ends in (None, lengths):
            with torch.no_grad():
                model(given["x"], state, lengths=ends)
            context.each_same(given, copies, "after a call, of what was given,", relative=0, absolute=0)
            context.equal(model.state_dict(), weights, "after a call in evaluation, of the model's state_dict,")


@check("numerics")
def calls_are_independent(context: CheckContext) -> None:
    """What a call gives does not depend on the calls before it, of other batches and lengths, in training too.

    The model keeps a state, a mask, or something that it has computed once for a size, from one call to the next.
    """
    for case in context.cases():
        model, x = case.model(), case.input()
        expected = model(x, return_state=True)
        before = _copy(model.state_dict())
        for training in (False, True):
            model.train(training)(case.input(batch=2, time=TIME + 2) + 1, return_state=True)
            model.train(training)(case.input() + 1, lengths=torch.tensor(LENGTHS))
            model.eval().load_state_dict(before)  # training may change buffers, such as running means
            context.equal(model(x, return_state=True), expected, "after other calls, the output and state")


@check("numerics")
def sequences_are_independent(context: CheckContext) -> None:
    """Each row of a batch gets what it gets alone.

    Something is taken over the batch, such as a mean, or the axis of the batch is taken for another.
    """
    for case in context.cases([*context.kind_under_test.variants, *BATCH_AXES[1:]], DIRECTIONS):
        model, x, state = case.model(), case.input(), random_state(case.model())
        output, final = model.backbone(x, state)
        expected, expected_parts = each_row_alone(model, x, state, [TIME] * BATCH)
        context.same(output, expected, "in a batch, the output")
        context.same(parts_by_row(final, batch_axes(model)), expected_parts, "in a batch, the final state, row by row,")


@check("numerics")
def evaluation_is_deterministic(context: CheckContext) -> None:
    """In evaluation two calls give the very same, and no random numbers are drawn.

    Something random is not left out in evaluation, where `self.training` is False.
    """
    for case in context.cases():
        model, x = case.model(), case.input()
        with _other_seeds(7):
            before = _random_states()
            first = model(x, return_state=True)
            context.that(_random_states() == before, "a call in evaluation draws random numbers")
        with _other_seeds(8):
            context.equal(model(x, return_state=True), first, "the output and state of a second call")


@check("numerics")
def seeded_initialization(context: CheckContext) -> None:
    """`torch.manual_seed` decides the weights that a model starts with: the same seed the same, another others.

    Weights are drawn with Python's or NumPy's random numbers, or a seed is set while the model is made.
    """
    for case in context.cases(output_size=None):
        first, _ = _weights(case, seed=7, others=1)
        again, after = _weights(case, seed=7, others=2)
        context.equal(again, first, "of the weights under the same seed of torch,")
        other, after_other = _weights(case, seed=8, others=1)
        context.that(not torch.equal(after, after_other), "making the model sets the seed of torch's random numbers")
        constant = all(each.numel() == 0 or each.eq(each.flatten()[0]).all() for each in first.values())
        differ = any(not torch.equal(each, other[name]) for name, each in first.items())
        context.that(differ or constant, "the weights are the same under every seed of torch")


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(part) for name, part in value.items()}
    return map_state(lambda part: part.detach().clone(), value)


def _weights(case: Case, *, seed: int, others: int) -> tuple[dict[str, Tensor], Tensor]:
    """What a model starts with, and the next random number; under a seed of torch, and another of other libraries."""
    with _other_seeds(others):
        torch.manual_seed(seed)
        return build_model(case.spec).state_dict(), torch.rand(1)


@contextmanager
def _other_seeds(seed: int) -> Iterator[None]:
    """All random numbers from a seed within the block; those of Python and NumPy go on as before afterwards."""
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  # what a kind may draw from
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # likewise
    torch.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002  # likewise


def _random_states() -> tuple[Any, ...]:
    """Where the random numbers of torch, Python and NumPy are."""
    return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state(legacy=False))  # noqa: NPY002  # likewise
