"""Executors: the `unroll` and `unroll_layers` of a cell, and what plugins offer for plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit import RecurrentModel, map_state, move_state
from rnnkit.testing._check import check
from rnnkit.testing._comparison import leaves
from rnnkit.testing._context import DIRECTIONS, Case, CheckContext, random_state, with_gradients

_NEVER_TAKEN = (
    "the cell's own `unroll` was never taken: it returns NotImplemented, or only `step` or `project` is overridden"
)
NOT_A_STACK = "not a stack of cells, which has a step loop"
_TOLERANCE: dict[str, Any] = {"relative": 1e-11, "absolute": 1e-12}  # float64, operations in a different order

_LARGE_TOLERANCE: dict[str, Any] = {"relative": 1e-9, "absolute": 1e-9}


class Call(NamedTuple):
    batch: int
    time: int
    state: bool
    lengths: list[int] | None
    magnitude: float = 0.0
    """Size that the entries of the state are scaled to; 0: that of a state after some steps."""
    inputs: float = 1.0
    """Size of the entries of the input."""

    def __str__(self) -> str:
        state = "a" if self.state else "no"
        size = f" with entries up to {self.magnitude:g}" if self.magnitude else ""
        inputs = f" of an input of {self.inputs:g}" if self.inputs != 1 else ""
        return f"{self.batch} sequences, {self.time} steps{inputs}, {state} state{size} and lengths={self.lengths}"


_CALLS = (
    Call(5, 4, state=False, lengths=None),
    Call(5, 4, state=True, lengths=[4, 1, 0, 3, 4]),
    Call(1, 1, state=True, lengths=None),
    Call(1, 4, state=False, lengths=[3]),
)
# An executor may clip the state or the input, which the kit's own states and inputs do not reach.
_LARGE_CALLS = (
    Call(3, 4, state=True, lengths=None, magnitude=3.0),
    Call(3, 4, state=True, lengths=[4, 1, 3], magnitude=30.0),
    Call(3, 4, state=True, lengths=None, magnitude=1e3),
    Call(3, 4, state=True, lengths=None, inputs=30.0),
    Call(3, 4, state=True, lengths=None, inputs=1e3),
)


@check("numerics")
def executors_equal_step_loop(context: CheckContext) -> None:
    """Executors equal the step loop: outputs, states and gradients.

    The executor differs in a gate, in the first or last step, at the end of a sequence or in its backward pass, or it
    computes in a narrower dtype.
    """
    context.skip_unless(context.kind.is_stack, NOT_A_STACK)
    # all options of stacks, from their declarations: an executor must not ignore an option that is added later
    options = [*context.kind.variants, *context.kind.stack_options]
    layers = [context.kind.one_layer, {"num_layers": 3}, *context.kind.sizes_per_layer]
    cases = context.cases([*options, *layers], DIRECTIONS, batch_first=True)
    executors = [executor for case in cases for executor in compare_calls(context, case, _CALLS)]
    faster = [executor for executor in executors if is_faster(executor)]
    own = [executor for executor in faster if executor.startswith("unroll")]
    context.skip_unless(own or not context.kind.has_fused_path, _NEVER_TAKEN)
    context.skip_unless(faster, f"every call runs the {executors[0]}")
    context.figures["executor"] = f"{' or '.join(sorted(set(faster)))} in {len(faster)} of {len(executors)} calls"
    _check_large_values(context)
    _check_float32(context)
    _check_dropout(context)


@torch.inference_mode()
def _check_large_values(context: CheckContext) -> None:
    """Outputs and states only: sums of large gradients of both signs have large rounding errors."""
    # with the option, `unroll` runs in place of `unroll_layers`
    cases = [context.kind.one_layer, {**context.kind.one_layer, "options": {"layer_norm": "output"}}]
    for case in context.cases(cases, DIRECTIONS, batch_first=True):
        model = case.model()
        for call in _LARGE_CALLS:
            x, state, lengths = _arguments(case, model, call)
            actual = model.backbone(x, state, lengths)
            model.backbone.force_step_loop = True
            expected = model.backbone(x, state, lengths)
            model.backbone.force_step_loop = False
            context.assert_close(actual, expected, f"with {call}, the output and final state", **_LARGE_TOLERANCE)


def compare_calls(context: CheckContext, case: Case, calls: Sequence[Call]) -> list[str]:
    """Compare the executor of one model with the step loop in each call; return the executors."""
    model = case.model()
    return [_compare_call(context, case, model, call) for call in calls]


def _compare_call(context: CheckContext, case: Case, model: RecurrentModel, call: Call) -> str:
    arguments = _arguments(case, model, call)
    actual = results_of(model, *arguments, force_step_loop=False)
    executor = model.backbone.executor
    expected = results_of(model, *arguments, force_step_loop=True)
    context.assert_each_close(actual, expected, f"with {call},", **_TOLERANCE)
    return executor


def is_faster(executor: str) -> bool:
    """True if no cell ran the step loop."""
    return "step loop" not in executor


def _check_float32(context: CheckContext) -> None:
    for case in context.cases(DIRECTIONS, batch_first=True):
        narrow, wide = case.model(dtype=torch.float32), case.model(dtype=torch.float32).double()
        x, state, lengths = _arguments(case, narrow, _CALLS[1])
        actual = results_of(narrow, x, state, lengths, force_step_loop=False)
        state = None if state is None else move_state(state, dtype=torch.float64)
        expected = results_of(wide, x.double(), state, lengths, force_step_loop=True)
        actual = {name: move_state(each, dtype=torch.float64) for name, each in actual.items()}
        what = "in float32, compared with the step loop in float64,"
        context.assert_each_close(actual, expected, what, relative=1e-3, absolute=1e-4, figure="float32 off by")


def _check_dropout(context: CheckContext) -> None:
    """dropout=1.0 is deterministic, so the outputs can be compared."""
    if not context.kind.accepts(dropout=1.0):
        return
    for case in context.cases(DIRECTIONS, dropout=1.0, batch_first=True):
        model = case.model().train()
        arguments = _arguments(case, model, _CALLS[1])
        actual, expected, again = (results_of(model, *arguments, force_step_loop=each) for each in (False, True, True))
        if torch.equal(expected["output"], again["output"]):  # otherwise the kind has its own randomness in training
            context.assert_each_close(actual, expected, "with dropout=1.0 in training,", **_TOLERANCE)


def _arguments(case: Case, model: RecurrentModel, call: Call) -> tuple[Tensor, Any, Tensor | None]:
    x = call.inputs * case.input(batch=call.batch, time=call.time, dtype=model.backbone.dtype)
    state = random_state(model, call.batch) if call.state else None
    if call.magnitude:
        state = map_state(lambda part: _scaled(part, call.magnitude), state)
    return x, state, None if call.lengths is None else torch.tensor(call.lengths)


def _scaled(part: Tensor, magnitude: float) -> Tensor:
    """The same signs, since a state may have to be positive, and the largest entry is `magnitude`."""
    if not part.is_floating_point() or not part.any():
        return part
    return part * (magnitude / part.abs().max())


def results_of(
    model: RecurrentModel, x: Tensor, state: Any, lengths: Tensor | None, *, force_step_loop: bool
) -> dict[str, Any]:
    """The output, the final state and all gradients."""
    model.backbone.force_step_loop = force_step_loop
    x, state = _leaf(x), None if state is None else map_state(_leaf, state)
    output, final = model.backbone(x, state, lengths=lengths)
    inputs = [part for part in leaves((x, *(state or ()))) if part.requires_grad]
    return with_gradients(model.backbone, output, final, *inputs)


def _leaf(part: Tensor) -> Tensor:
    return part.detach().clone().requires_grad_(part.is_floating_point())
