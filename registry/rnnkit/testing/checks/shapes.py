"""Shapes, and the combinations of fields that a spec accepts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import torch

from rnnkit.testing._check import CheckFailedError, check
from rnnkit.testing._context import BATCH, BATCH_AXES, DIRECTIONS, Case, CheckContext, without_executors
from rnnkit.testing._fixed_sizes import fixed_sizes
from rnnkit.testing._per_sequence import batch_axes, batched_parts
from rnnkit.testing.kind_under_test import Changes, KindUnderTest

READOUTS: tuple[Changes, ...] = tuple({"readout": name} for name in ("last", "mean", "max", "all"))
LAYERS: tuple[Changes, ...] = tuple({"num_layers": count} for count in (1, 2, 3))
_PARTS = (slice(2), slice(2, None))  # the values of an option that are combined with all fields, and the others


@check("shape and state")
def output_shape(context: CheckContext) -> None:
    """The backbone returns `(batch, time, features)`, the model the shape that readout and `output_size` determine.

    `features` of the backbone or of the record does not match the output of `run`, for example with two directions, or
    time and batch are interchanged.
    """
    others = [*BATCH_AXES[1:], *LAYERS, *READOUTS, {"output_size": None}, *context.kind.sizes_per_layer]
    for case in context.cases([*context.kind.variants, *others], DIRECTIONS):
        model, x = case.model(perturb=False), case.input()
        features = model.backbone.features
        _check_features(context, case, features)
        _assert_shape(context, model.backbone(x)[0], (*x.shape[:2], features), "the output of the backbone")
        leading = x.shape[:2] if case.spec.readout == "all" else (BATCH,)
        _assert_shape(context, model(x), (*leading, case.spec.output_size or features), "the output of the model")
    if fixed := fixed_sizes(context.kind.model.backbone):
        context.figures["fixed by torch.export"] = f"{', '.join(fixed)}: write x.shape[0]"


@check("shape and state")
def batch_first_is_a_transpose(context: CheckContext) -> None:
    """The output with `batch_first=False` is the transpose of that with `batch_first=True`; the state is the same.

    The batch and time axes are interchanged, or an inner module has a fixed `batch_first`.
    """
    for case in context.cases(context.kind.variants, DIRECTIONS, readout="all", batch_first=False):
        model, x, state = case.setup()
        batch_first = Case(replace(case.spec, batch_first=True)).model()
        batch_first.load_state_dict(model.state_dict())
        expected, expected_final = batch_first(x.transpose(0, 1), state, return_state=True)
        output, final = model(x, state, return_state=True)
        context.assert_close(output, expected.transpose(0, 1), "with batch_first=False, the output")
        context.assert_close(final, expected_final, "with batch_first=False, the final state")


@check("shape and state")
def empty_batch(context: CheckContext) -> None:
    """An empty batch gives an empty output and state, with and without lengths.

    A maximum is computed over the batch, or a tensor is reshaped with -1.
    """
    for case in context.cases_in_both_layouts(readout="all"):
        model, x = case.model(perturb=False), case.input(batch=0)
        for lengths in (None, torch.zeros(0, dtype=torch.int64)):
            y, final = model(x, lengths=lengths, return_state=True)
            _assert_shape(context, y, (*x.shape[:2], *y.shape[2:]), "the output")
            states = [batched_parts(state, batch_axes(model)) for state in (final, model.initial_state(0))]
            context.assert_close(states[0], states[1], "the final state of an empty batch")


@check("shape and state")
def single_step_of_one_sequence(context: CheckContext) -> None:
    """A batch of one sequence of one step gives the same output as in a larger batch.

    An axis of size one is squeezed, or a statistic is computed over the batch.
    """
    for case in context.cases_in_both_layouts(readout="all"):
        model, x = case.model(), case.input(time=1)
        batch_axis = 1 - case.time_axis
        y = model(x.narrow(batch_axis, 0, 1))
        context.assert_close(y, model(x).narrow(batch_axis, 0, 1), "the output of one step of one sequence")


@check("shape and state")
@without_executors()
def valid_specs_build_and_run(context: CheckContext) -> None:
    """Every combination of fields and options either fails validation or builds a model that runs.

    Validation is missing: pass `Kind(check=)`, or give the option a type that excludes the invalid values.
    """
    for field, raised in context.kind.broken.items():
        fix = f"reject them in `check`{', or with a narrower type' * field.startswith('options.')}"
        raise CheckFailedError(f"{field} takes values that cannot be built or run: {raised}; {fix}")
    for axes in _combinations(context.kind):
        for case in context.cases(*axes, DIRECTIONS):
            context.left_out.clear()  # rejecting a combination is a valid outcome here
            _check_runs(context, case)
    context.left_out.clear()


def _combinations(kind: KindUnderTest) -> Iterator[list[Sequence[Changes]]]:
    """Axes of changes: all fields and options with few layers, then more option values with more layers."""
    options = {name: values for name, values in kind.option_values.items() if values}
    likely, rest = ([{name: each} for name, values in options.items() for each in values[part]] for part in _PARTS)
    pairs = [{one: options[one][0], other: options[other][0]} for one, other in combinations(options, 2)]
    fields = [{}, *READOUTS[1:], {"output_size": None}, {"batch_first": False}, *kind.sizes_per_layer]
    yield [[{}, {"bias": False}, {"dropout": 0.5}], [*fields, *({"options": each} for each in likely)], LAYERS[:2]]
    yield [[*LAYERS, *({"options": each} for each in [*rest, *pairs])]]


@torch.no_grad()
def _check_runs(context: CheckContext, case: Case) -> None:
    model, x = case.model(perturb=False).train(), case.input(time=2)
    y, final = model(x, return_state=True)
    context.assert_true(y.isfinite().all(), "the output is not finite")
    y = model(x, final, lengths=torch.tensor([2, 1, 0, 2]))
    context.assert_true(y.isfinite().all(), "with lengths and the state of another call, the output is not finite")


def _check_features(context: CheckContext, case: Case, features: int) -> None:
    if context.kind.record.features is not None:
        found = context.kind.record.features(case.spec)
        context.assert_true(
            found == features, f"Kind.features returns {found!r}, but the backbone has {features} features"
        )


def _assert_shape(context: CheckContext, tensor: Any, shape: tuple[int, ...], what: str) -> None:
    found = tuple(tensor.shape) if isinstance(tensor, torch.Tensor) else tensor
    context.assert_true(found == shape, f"the shape of {what} is {found}, but should be {shape}")
