"""What a cell promises of its `unroll` and `unroll_layers`."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit import RecurrentModel, map_state
from rnnkit.cells import unroll_fast, unroll_layers_fast
from rnnkit.testing.check import check
from rnnkit.testing.check_context import DIRECTIONS, Case, CheckContext, random_state, with_gradients
from rnnkit.testing.comparison import leaves

_ROUNDING = {"relative": 1e-11, "absolute": 1e-12}  # of float64 in another order


class _Situation(NamedTuple):
    """What a call may be like."""

    batch: int
    time: int
    state: bool
    lengths: list[int] | None

    def __str__(self) -> str:
        state = "a" if self.state else "no"
        return f"{self.batch} rows, {self.time} steps, {state} state and lengths={self.lengths}"


_SITUATIONS = (
    _Situation(5, 7, state=False, lengths=None),
    _Situation(5, 7, state=True, lengths=[7, 1, 0, 4, 7]),
    _Situation(1, 1, state=True, lengths=None),
    _Situation(1, 7, state=False, lengths=[3]),
)


@check("numerics")
def executors_equal_step_loop(context: CheckContext) -> None:
    """`unroll` and `unroll_layers` compute what `step` does, one after another: outputs, states and gradients.

    The fast way differs in a gate, in its first or last step, at the end of a row, or in its backward pass; or it
    computes in a narrower dtype.
    """
    context.needs(
        context.kind_under_test.has_executor, "no cell of the kind has an `unroll` or `unroll_layers` of its own"
    )
    kind_under_test = context.kind_under_test
    # every option of stacks, by its declaration: one that is added later must not be ignored on the fused path
    arrangements = [
        *kind_under_test.variants,
        *kind_under_test.stack_options,
        kind_under_test.one_layer,
        {"num_layers": 3},
        *kind_under_test.sizes_per_layer,
    ]
    taken = [
        _check_call(context, case, situation)
        for case in context.cases(arrangements, DIRECTIONS, batch_first=True)
        for situation in _SITUATIONS
    ]
    context.figures["fast"] = f"{sum(taken)} of {len(taken)} calls"
    reason = "the fast way was never taken: it returns NotImplemented, or belongs to another step or project"
    context.needs(any(taken), reason)
    _check_float32(context)
    _check_dropout(context)


def _check_call(context: CheckContext, case: Case, situation: _Situation) -> bool:
    """Hold the fast way to the plain loop, if there is one for such a call; whether there is."""
    model = case.model()
    given = _arguments(case, model, situation)
    fast, plain = (_results(model, *given, plain=each) for each in (False, True))
    context.each_same(fast, plain, f"with {situation},", **_ROUNDING)
    return _is_taken(model, *given)


def _check_float32(context: CheckContext) -> None:
    for case in context.cases(DIRECTIONS, batch_first=True):
        narrow, wide = case.model(dtype=torch.float32), case.model(dtype=torch.float32).double()
        x, state, lengths = _arguments(case, narrow, _SITUATIONS[1])
        fast = _results(narrow, x, state, lengths, plain=False)
        plain = _results(wide, x.double(), map_state(_double, state), lengths, plain=True)
        fast = {name: map_state(_double, each) for name, each in fast.items()}
        what = "in float32, beside the plain loop in float64,"
        context.each_same(fast, plain, what, relative=1e-3, absolute=1e-4, figure="in float32 by")


def _check_dropout(context: CheckContext) -> None:
    """With all dropped, what comes after it is the same at each call."""
    if not context.kind_under_test.takes(dropout=1.0):
        return
    for case in context.cases(DIRECTIONS, dropout=1.0, batch_first=True):
        model = case.model().train()
        given = _arguments(case, model, _SITUATIONS[1])
        fast, plain, again = (_results(model, *given, plain=each) for each in (False, True, True))
        if torch.equal(plain["output"], again["output"]):  # else something of its own is random in training
            context.each_same(fast, plain, "with dropout=1.0 in training,", **_ROUNDING)


def _arguments(case: Case, model: RecurrentModel, situation: _Situation) -> tuple[Tensor, Any, Tensor | None]:
    x = case.input(batch=situation.batch, time=situation.time, dtype=model.backbone.dtype)
    state = random_state(model, situation.batch) if situation.state else None
    return x, state, None if situation.lengths is None else torch.tensor(situation.lengths)


def _is_taken(model: RecurrentModel, x: Tensor, state: Any, lengths: Tensor | None) -> bool:
    """Whether the first cell, or all at once, have a fast way for these arguments."""
    backbone: Any = model.backbone
    cells, time_first = list(backbone.cells), x.transpose(0, 1)
    states = model.initial_state(len(x)) if state is None else state
    together = unroll_layers_fast(cells, time_first, states, lengths, directions=backbone.directions, dropout=0.0)
    return together is not NotImplemented or unroll_fast(cells[0], time_first, states[0], lengths) is not NotImplemented


def _results(model: RecurrentModel, x: Tensor, state: Any, lengths: Tensor | None, *, plain: bool) -> dict[str, Any]:
    """The output, the final state, and the gradients by all that they depend on."""
    model.backbone.force_step_loop = plain
    x, state = _learned(x), None if state is None else map_state(_learned, state)
    output, final = model.backbone(x, state, lengths=lengths)
    given = [part for part in leaves((x, *(state or ()))) if part.requires_grad]
    return with_gradients(model.backbone, output, final, *given)


def _learned(part: Tensor) -> Tensor:
    return part.detach().clone().requires_grad_(part.is_floating_point())


def _double(part: Tensor) -> Tensor:
    return part.double() if part.is_floating_point() else part
