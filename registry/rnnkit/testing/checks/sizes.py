"""Sizes larger than those of the other checks: long sequences, large batches and wide layers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentModel
from rnnkit.testing._check import check
from rnnkit.testing._context import DIRECTIONS, Case, CheckContext, random_state
from rnnkit.testing._drawn_sizes import BATCHES, TIMES, draw_lengths, draw_widths, long_input, random_of
from rnnkit.testing._per_sequence import batch_axes, batched_parts, run_sequences_alone, select_sequences
from rnnkit.testing._stability import is_stable, perturbed_input, relative_difference
from rnnkit.testing.kind_under_test import KindUnderTest

_LONG = 4096  # steps, of a sequence in float32
_PIECE = 8  # steps; the other checks compare sequences of this length with single steps
_DISTINCT = 31  # sequences; a prime number, so that those a round number apart differ
_SHORT = 2  # steps, of sequences in batches of many sizes
_REPEATS = 6  # of a batch of some lengths
_MAX_ERROR_RATIO = 30.0  # of a whole sequence in float32 relative to pieces of it


@check("numerics")
def long_sequences_equal_pieces(context: CheckContext) -> None:
    """A sequence of up to 1,025 steps equals the same sequence in pieces of at most 8 steps, in inference mode.

    A scan in chunks loses the state between chunks, misses its last round, or overflows; or a table ends.
    """
    for case in context.cases(DIRECTIONS[:1], batch_first=True):
        model, x = case.model(), long_input(case, TIMES[-1])
        expected, perturbed = (_run_pieces(model, each, TIMES) for each in (x, perturbed_input(x)))
        for time in TIMES:
            if not is_stable(expected[time], perturbed[time]):
                break  # a chaotic kind: its results are rounding errors from here on
            context.figures["steps"] = time
            what = f"at {time:,} steps, compared with pieces of at most {_PIECE} steps, the output and final state"
            context.assert_close(_run_whole(model, x[:, :time]), expected[time], what)


@check("numerics")
def long_sequences_are_exact(context: CheckContext) -> None:
    """At 4,096 steps in float32, the error relative to float64 is not much larger than that of pieces of the sequence.

    A fused path subtracts or divides large numbers, for example in log space, or overflows.
    """
    for case in context.cases([{}, *context.kind.given_options], [context.kind.one_layer], batch_first=True):
        narrow, wide = case.model(dtype=torch.float32), case.model(dtype=torch.float32).double()
        x = long_input(case, _steps_of_error(context.kind), torch.float32)
        time = x.shape[1]
        exact, pieces = (_run_pieces(model, each, [time])[time] for model, each in ((wide, x.double()), (narrow, x)))
        whole_error, piece_error = (relative_difference(each, exact) for each in (_run_whole(narrow, x), pieces))
        ratio = whole_error / max(piece_error, torch.finfo(torch.float32).eps)
        context.figures |= {"steps": time, "error": whole_error, "relative to pieces": ratio}
        context.assert_true(
            ratio <= _MAX_ERROR_RATIO,
            f"at {time:,} steps in float32 the error is {whole_error:.2g} of the largest value, {ratio:.2g} times the "
            f"error of pieces of {_PIECE} steps",
        )


def _steps_of_error(kind: KindUnderTest) -> int:
    """The step loop takes the same steps in a piece, so that a long sequence of it shows nothing more."""
    return TIMES[-1] if kind.is_stack and not kind.has_fused_path else _LONG


@check("numerics")
def large_batches_equal_sequences(context: CheckContext) -> None:
    """In batches of 1 to 1,024, in wide layers and at drawn lengths, each sequence gives the results it gives alone.

    Another formula is used from some batch size on, sequences are mixed, or an end is off by one for some lengths.
    """
    random = random_of(context.kind)
    widths = draw_widths(context.kind, random)
    for case in context.cases(DIRECTIONS, **widths, batch_first=True):
        _check_lengths(context, case, draw_lengths(random))
    for case in context.cases(DIRECTIONS, batch_first=True):
        _check_lengths(context, case, draw_lengths(random), repeats=_REPEATS)
    for case in context.cases(DIRECTIONS[:1], batch_first=True):
        for force_step_loop in context.kind.force_step_loop_values:
            _check_batches(context, case, force_step_loop=force_step_loop)
    context.figures["seed"] = context.kind.seed


def _check_lengths(context: CheckContext, case: Case, lengths: list[int], *, repeats: int = 1) -> None:
    """Compare sequences of some lengths alone with all of them, several times each, together."""
    batch, time = len(lengths), max(lengths)
    model, x = case.model(), case.input(batch=batch, time=time)
    state, indices = random_state(model, batch), [*range(batch)] * repeats
    together = select_sequences(state, batch_axes(model), indices)
    inputs = (x[indices], perturbed_input(x[indices]))
    actual, perturbed = (_run_batch(model, each, together, lengths * repeats) for each in inputs)
    context.skip_unless(is_stable(actual, perturbed), "it is chaotic: rounding changes its results")
    output, parts = run_sequences_alone(model, x, state, lengths)
    several = f"{repeats} times " if repeats > 1 else ""
    batch_text = f"in a batch of {len(indices)} sequences with {several}lengths={lengths}"
    what = f"{batch_text}, by sequence, the output and final state"
    context.assert_close(actual, (output[indices], [part[indices] for part in parts]), what)


@torch.inference_mode()
def _check_batches(context: CheckContext, case: Case, *, force_step_loop: bool) -> None:
    """Compare sequences alone with batches of them, in large ones several times each."""
    model, x = case.model(), case.input(batch=_DISTINCT, time=_SHORT)
    if force_step_loop:
        model.backbone.force_step_loop = True
    state, axes = random_state(model, _DISTINCT), batch_axes(model)
    output, parts = run_sequences_alone(model, x, state, [_SHORT] * _DISTINCT)
    for size in BATCHES:
        indices = [index % _DISTINCT for index in range(size)]
        actual = _run_batch(model, x[indices], select_sequences(state, axes, indices), None)
        expected = (output[indices], [part[indices] for part in parts])
        context.assert_close(
            actual, expected, f"in a batch of {size} sequences, by sequence, the output and final state"
        )


def _run_batch(model: RecurrentModel, x: Tensor, state: Any, lengths: list[int] | None) -> tuple[Tensor, list[Tensor]]:
    output, final = model.backbone(x, state, lengths=lengths)
    return output, batched_parts(final, batch_axes(model))


@torch.inference_mode()
def _run_whole(model: RecurrentModel, x: Tensor) -> Any:
    return model.backbone(x)


@torch.inference_mode()
def _run_pieces(model: RecurrentModel, x: Tensor, times: Sequence[int]) -> dict[int, tuple[Tensor, Any]]:
    """By each of `times`, the output and the state up to this step, computed piece by piece."""
    outputs: list[Tensor] = []
    results, state = {}, None
    for start, end in pairwise(sorted({0, *times, *range(_PIECE, max(times), _PIECE)})):
        output, state = model.backbone(x[:, start:end], state)
        outputs.append(output)
        if end in times:
            results[end] = torch.cat(outputs, dim=1), state
    return results
