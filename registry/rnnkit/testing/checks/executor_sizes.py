"""Executors at many sizes, and their speed."""

from __future__ import annotations

from collections.abc import Sequence
from time import process_time
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentModel, map_state
from rnnkit.testing._check import check
from rnnkit.testing._context import DIRECTIONS, Case, CheckContext
from rnnkit.testing._drawn_sizes import TIMES, draw_lengths, draw_times, draw_widths, long_input, random_of
from rnnkit.testing._stability import is_stable, perturbed_input
from rnnkit.testing.checks.executors import NOT_A_STACK, Call, compare_calls, is_faster, results_of

_TOLERANCE: dict[str, Any] = {"relative": 1e-9, "absolute": 1e-10}
_SHORTEST = 0.02  # seconds: the clock of CPU time has steps of up to 16 ms
_WITH_GRADIENTS = (1, 2, 9, 17, 65, 129)  # of `TIMES`: the backward pass of the step loop takes long


@check("numerics")
def executors_at_many_sizes(context: CheckContext) -> None:
    """Executors equal the step loop at 1 to 1,025 steps, in large batches and in wide layers.

    A scan in chunks loses the state or the gradient between chunks, misses its last round, or overflows; an end is off
    by one for some lengths; or another formula is used at round numbers of steps.
    """
    context.skip_unless(context.kind.is_stack, NOT_A_STACK)
    _skip_step_loop(context)
    random = random_of(context.kind)
    times = draw_times(random)
    # `unroll_layers` does not run where an option acts between layers, so that `unroll` runs
    cell_by_cell = {**context.kind.one_layer, "options": {"layer_norm": "output"}}
    cases = list(context.cases([{}, cell_by_cell], DIRECTIONS[:1], batch_first=True))
    context.figures["steps"] = min(_check_times(context, case, times) for case in cases)
    _measure_speed(context)
    for case in context.cases(DIRECTIONS, **draw_widths(context.kind, random), batch_first=True):
        lengths = draw_lengths(random)
        compare_calls(context, case, [Call(len(lengths), max(lengths), state=True, lengths=lengths)])
    context.figures["seed"] = context.kind.seed


def _skip_step_loop(context: CheckContext) -> None:
    case = next(context.cases([{}], bidirectional=False, batch_first=True))
    model = case.model()
    with torch.inference_mode():
        model(long_input(case, 2))
    executor = model.backbone.executor
    context.skip_unless(is_faster(executor), f"every call runs the {executor}")


def _measure_speed(context: CheckContext) -> None:
    """Record how many times faster the executor is; a figure, because time depends on the machine and its load."""
    case = next(context.cases([{}], bidirectional=False, batch_first=True))
    model, x = case.model(dtype=torch.float32), long_input(case, TIMES[-1], torch.float32)
    speedup = _seconds(model, x, force_step_loop=True) / _seconds(model, x, force_step_loop=False)
    context.figures["speedup"] = speedup
    if speedup < 1:
        context.warnings.append(
            f"at {TIMES[-1]:,} steps the executor takes {1 / speedup:.2g} times as long as the step loop"
        )


@torch.inference_mode()
def _seconds(model: RecurrentModel, x: Tensor, *, force_step_loop: bool) -> float:
    """The CPU time of a call, the shorter one of two measurements."""
    model.backbone.force_step_loop = force_step_loop
    return min(_seconds_of_a_call(model, x) for _ in range(2))


def _seconds_of_a_call(model: RecurrentModel, x: Tensor) -> float:
    start, calls = process_time(), 0
    while (seconds := process_time() - start) < _SHORTEST or not calls:
        model(x)
        calls += 1
    return seconds / calls


def _check_times(context: CheckContext, case: Case, times: Sequence[int]) -> int:
    """Compare the executor with the step loop, at some numbers of steps also the gradients.

    Returns:
        The largest number of steps; a smaller one for a chaotic kind, whose results are rounding errors from there on.
    """
    compared = 0
    model, x = case.model(), long_input(case, max(times))
    with torch.inference_mode():  # the step loop: it has the results at all numbers of steps
        results, perturbed = (model.backbone.all_states(each) for each in (x, perturbed_input(x)))
    for time in times:
        expected = _result_at(time, *results)
        if not is_stable(expected, _result_at(time, *perturbed)):
            break
        compared = time
        model.backbone.force_step_loop = False
        with torch.inference_mode():
            actual = model.backbone(x[:, :time])
        context.assert_close(actual, expected, f"at {time:,} steps, the output and final state", **_TOLERANCE)
        if time in _WITH_GRADIENTS:
            _check_gradients(context, model, x[:, :time])
    return compared


def _result_at(time: int, outputs: Tensor, states: Any) -> tuple[Tensor, Any]:
    """The outputs and the final state of the first steps."""
    return outputs[:, :time], map_state(lambda part: part[:, time - 1], states)


def _check_gradients(context: CheckContext, model: RecurrentModel, x: Tensor) -> None:
    actual, expected = (results_of(model, x, None, None, force_step_loop=each) for each in (False, True))
    context.assert_each_close(actual, expected, f"at {x.shape[1]:,} steps,", **_TOLERANCE)
