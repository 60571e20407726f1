"""Independence of calls, sequences and random state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnkit import build_model
from rnnkit.testing._check import check
from rnnkit.testing._context import BATCH, LENGTHS, TIME, Case, CheckContext
from rnnkit.testing._per_sequence import batch_axes, batched_parts, run_sequences_alone
from rnnkit.testing._seeding import seed_generators


@check("numerics")
def inputs_are_not_modified(context: CheckContext) -> None:
    """A call modifies neither its input nor the given state and lengths; in evaluation also not the model.

    An in-place operation, such as `add_` or `x[...] =`, acts on an argument.
    """
    for case in context.cases_in_both_layouts():
        (model, x, state), lengths = case.setup(), torch.tensor(LENGTHS)
        arguments = {"x": x, "state": state, "lengths": lengths}
        copies, weights = deepcopy(arguments), deepcopy(model.state_dict())
        for ends in (None, lengths):
            with torch.no_grad():
                model(arguments["x"], state, lengths=ends)
            context.assert_each_close(arguments, copies, "after a call, of the arguments,", relative=0, absolute=0)
            context.assert_equal(model.state_dict(), weights, "after a call in evaluation mode, in the state_dict,")


@check("numerics")
def calls_are_independent(context: CheckContext) -> None:
    """The result of a call does not depend on earlier calls, with other batch sizes and lengths, or in training.

    The model caches a state, a mask or a value that depends on a size between calls.
    """
    for case in context.cases():
        model, x = case.model(), case.input()
        expected = model(x, return_state=True)
        before = deepcopy(model.state_dict())
        for training in (False, True):
            model.train(training)(case.input(batch=2, time=TIME + 2) + 1, return_state=True)
            model.train(training)(case.input() + 1, lengths=torch.tensor(LENGTHS))
            model.eval().load_state_dict(before)  # training may update buffers, such as running means
            context.assert_equal(model(x, return_state=True), expected, "after other calls, the output and state")


@check("numerics")
def sequences_are_independent(context: CheckContext) -> None:
    """Each sequence of a batch gives the results that it gives alone.

    A statistic such as a mean is computed over the batch, or the batch axis is mixed up with another axis.
    """
    for case in context.cases_in_both_layouts():
        model, x, state = case.setup()
        output, final = model.backbone(x, state)
        expected, expected_parts = run_sequences_alone(model, x, state, [TIME] * BATCH)
        context.assert_close(output, expected, "in a batch, the output")
        parts = batched_parts(final, batch_axes(model))
        context.assert_close(parts, expected_parts, "in a batch, by sequence, the final state")


@check("numerics")
def evaluation_is_deterministic(context: CheckContext) -> None:
    """In evaluation mode two calls give identical results, and no random numbers are drawn.

    Randomness does not depend on `self.training`.
    """
    for case in context.cases():
        model, x = case.model(), case.input()
        with _seeds(7):
            before = _random_states()
            first = model(x, return_state=True)
            context.assert_true(_random_states() == before, "a call in evaluation mode draws random numbers")
        with _seeds(8):
            context.assert_equal(model(x, return_state=True), first, "the output and state of a second call")


@check("numerics")
def seeded_initialization(context: CheckContext) -> None:
    """`torch.manual_seed` determines the initial weights: equal seeds, equal weights; other seeds, other weights.

    Weights are drawn with Python's or NumPy's random numbers, or building the model sets a seed.
    """
    for case in context.cases(output_size=None):
        first, _ = _weights(case, seed=7, others=1)
        again, after = _weights(case, seed=7, others=2)
        context.assert_equal(again, first, "with the same seed, in the weights,")
        other, after_other = _weights(case, seed=8, others=1)
        context.assert_true(not torch.equal(after, after_other), "building the model sets torch's seed")
        constant = all(each.numel() == 0 or each.eq(each.flatten()[0]).all() for each in first.values())
        differ = any(not torch.equal(each, other[name]) for name, each in first.items())
        context.assert_true(differ or constant, "the weights are the same with every seed")


def _weights(case: Case, *, seed: int, others: int) -> tuple[dict[str, Tensor], Tensor]:
    """The initial weights and the next random number, with a seed of torch and one of other libraries."""
    with _seeds(others):
        seed_generators(seed)
        return build_model(case.spec).state_dict(), torch.rand(1)


@contextmanager
def _seeds(seed: int) -> Iterator[None]:
    """Seed torch, Python and NumPy; restores the generators of Python and NumPy."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002  # a kind may use the global generator
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # the same
    seed_generators(seed)
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002  # the same


def _random_states() -> tuple[Any, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state(legacy=False))  # noqa: NPY002  # the same
