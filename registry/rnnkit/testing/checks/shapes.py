"""What a kind promises of shapes, and of what a spec may ask for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import torch

from rnnkit.testing.check import check
from rnnkit.testing.check_context import BATCH, BATCH_AXES, DIRECTIONS, TIME, Case, CheckContext, random_state
from rnnkit.testing.kind_under_test import Changes, KindUnderTest
from rnnkit.testing.per_sequence import batch_axes, parts_by_row
from rnnkit.testing.sample_values import sample_option_values

READOUTS: tuple[Changes, ...] = tuple({"readout": name} for name in ("last", "mean", "max", "all"))
LAYERS: tuple[Changes, ...] = tuple({"num_layers": count} for count in (1, 2, 3))
_PARTS = (slice(2), slice(2, None))  # of the values of an option: those that are tried with everything, and the rest


@check("shape and state")
def output_shape(context: CheckContext) -> None:
    """The output is `(batch, time, features)` of the backbone, and of the model as its readout and `output_size` say.

    `features` is not what `run` returns, such as that of one direction where there are two, or time and batch are
    interchanged.
    """
    others = [*BATCH_AXES[1:], *LAYERS, *READOUTS, {"output_size": None}, *context.kind_under_test.sizes_per_layer]
    for case in context.cases([*context.kind_under_test.variants, *others], DIRECTIONS):
        model, x = case.model(moved=False), case.input()
        features = model.backbone.features
        _has_shape(context, model.backbone(x)[0], (*x.shape[:2], features), "the output of the backbone")
        rows = x.shape[:2] if case.spec.readout == "all" else (BATCH,)
        _has_shape(context, model(x), (*rows, case.spec.output_size or features), "the output of the model")


@check("shape and state")
def batch_first_is_a_transpose(context: CheckContext) -> None:
    """With `batch_first=False` the output is that with `batch_first=True`, transposed, and the state is the same.

    The axes of batch and time are interchanged somewhere, or a module inside is always one of the two.
    """
    for case in context.cases(context.kind_under_test.variants, DIRECTIONS, readout="all", batch_first=False):
        model, x, state = case.model(), case.input(), random_state(case.model())
        batch_first = Case(replace(case.spec, batch_first=True)).model()
        batch_first.load_state_dict(model.state_dict())
        expected, expected_final = batch_first(x.transpose(0, 1), state, return_state=True)
        output, final = model(x, state, return_state=True)
        context.same(output, expected.transpose(0, 1), "the output with time first")
        context.same(final, expected_final, "the final state with time first")


@check("shape and state")
def empty_batch(context: CheckContext) -> None:
    """A batch of no rows gives an output and a state of no rows, with lengths too.

    Something is computed of all rows, such as the longest length, or reshaped with -1.
    """
    for case in context.cases([*context.kind_under_test.variants, *BATCH_AXES[1:]], DIRECTIONS, readout="all"):
        model, x = case.model(moved=False), case.input(batch=0)
        for lengths in (None, torch.zeros(0, dtype=torch.int64)):
            y, final = model(x, lengths=lengths, return_state=True)
            _has_shape(context, y, (*x.shape[:2], *y.shape[2:]), "the output")
            rows = [parts_by_row(state, batch_axes(model)) for state in (final, model.initial_state(0))]
            context.same(rows[0], rows[1], "the final state of no rows")


@check("shape and state")
def single_step_of_one_sequence(context: CheckContext) -> None:
    """One step of one row, alone, gives what it gives in a batch.

    An axis of size one is squeezed away, or statistics are taken over the batch.
    """
    for case in context.cases([*context.kind_under_test.variants, *BATCH_AXES[1:]], DIRECTIONS, readout="all"):
        model, x = case.model(), case.input(time=1)
        batch_axis = 1 - case.time_axis
        y = model(x.narrow(batch_axis, 0, 1))
        context.same(y, model(x).narrow(batch_axis, 0, 1), "the output of one step of one row")


@check("shape and state")
def valid_specs_build_and_run(context: CheckContext) -> None:
    """Every combination of fields and options is refused when the spec is made, or builds a model that runs.

    A check is missing: give `Kind(check=)`, or the field of the options a type that excludes what cannot be built.
    """
    for axes in _combinations(context.kind_under_test):
        for case in context.cases(*axes, DIRECTIONS):
            context.left_out.clear()  # what is refused is half of the promise, and no lack of the kind
            _check_runs(context, case)
    context.left_out.clear()


def _combinations(kind_under_test: KindUnderTest) -> Iterator[list[Sequence[Changes]]]:
    """Everything that a spec may say with few layers, with and without the fields that options depend on; and more."""
    options = {name: values for name, values in sample_option_values(kind_under_test.record.options).items() if values}
    likely, rest = ([{name: each} for name, values in options.items() for each in values[part]] for part in _PARTS)
    pairs = [{one: options[one][0], other: options[other][0]} for one, other in combinations(options, 2)]
    fields = [{}, *READOUTS[1:], {"output_size": None}, {"batch_first": False}, *kind_under_test.sizes_per_layer]
    yield [[{}, {"bias": False}, {"dropout": 0.5}], [*fields, *_as_changes(likely)], LAYERS[:2]]
    yield [[*LAYERS, *_as_changes([*rest, *pairs])]]


def _as_changes(several: Sequence[Changes]) -> list[Changes]:
    return [{"options": each} for each in several]


@torch.no_grad()
def _check_runs(context: CheckContext, case: Case) -> None:
    model, x = case.model(moved=False).train(), case.input()
    y, final = model(x, return_state=True)
    context.that(y.isfinite().all(), "the output is not finite")
    y = model(x, final, lengths=torch.tensor([TIME, 1, 0, 2]))
    context.that(y.isfinite().all(), "with lengths, from the state of another call, the output is not finite")


def _has_shape(context: CheckContext, tensor: Any, shape: tuple[int, ...], what: str) -> None:
    found = tuple(tensor.shape) if isinstance(tensor, torch.Tensor) else tensor
    context.that(found == shape, f"the shape of {what} is {found}, but should be {shape}")
