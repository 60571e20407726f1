"""The modes of torch in which a model runs, and results that outlive a call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentModel, map_state
from rnnkit.testing._check import check
from rnnkit.testing._comparison import largest_difference
from rnnkit.testing._context import DIRECTIONS, CheckContext, new_lengths

_TOLERANCES: dict[torch.dtype, dict[str, Any]] = {
    torch.float64: {"relative": 1e-9, "absolute": 1e-11},
    torch.float32: {"relative": 1e-4, "absolute": 1e-5},
}


@check("numerics")
def gradient_mode_has_no_effect(context: CheckContext) -> None:
    """Under `no_grad`, under `inference_mode` and with frozen weights, results equal those that are trained.

    Another formula or a faster kernel is used where no gradient is needed, so that a deployed model differs from the
    one that was trained.
    """
    for dtype, tolerance in _TOLERANCES.items():
        for case in context.cases(context.kind.variants):
            model, x, state = case.setup(dtype)
            for lengths in (None, new_lengths()):
                expected = model(x, state, lengths=lengths, return_state=True)
                for what, mode in _gradient_modes(model):
                    with mode:
                        actual = model(x, state, lengths=lengths, return_state=True)
                    context.assert_close(actual, expected, f"{what} in {dtype}, the output and state", **tolerance)


@check("numerics")
def training_equals_evaluation(context: CheckContext) -> None:
    """Without dropout, training mode gives the results of evaluation mode.

    The formulas of the two modes differ. Not applicable to kinds that are random in training or update buffers.
    """
    for case in context.cases(context.kind.variants, dropout=0.0):
        model, x = case.model(), case.input()
        before, expected = _copy(model.state_dict()), model(x, return_state=True)
        first = model.train()(x, return_state=True)
        if not _equal(first, expected):
            updates = not _equal(model.state_dict(), before)
            context.skip_unless(not updates, "a call in training mode updates buffers")
            context.skip_unless(_equal(first, model(x, return_state=True)), "a call in training mode is random")
        context.assert_close(first, expected, "in training mode, the output and state")


@check("numerics")
def results_are_not_overwritten(context: CheckContext) -> None:
    """The output and the states that a call returns keep their values in later calls, with and without gradients.

    A result is a view of a buffer that the next call writes to.
    """
    for case in context.cases(DIRECTIONS, batch_first=True):
        model = case.model()
        for _, mode in _gradient_modes(model):
            with mode:
                results = _results(model, case.input())
                copies = {name: _copy(each) for name, each in results.items()}
                _results(model, case.input() + 1)
            context.assert_each_close(results, copies, "after other calls,", relative=0, absolute=0)


def _gradient_modes(model: RecurrentModel) -> Iterator[tuple[str, AbstractContextManager[Any]]]:
    yield "under no_grad", torch.no_grad()
    yield "under inference_mode", torch.inference_mode()
    learned = [each for each in model.parameters() if each.requires_grad]
    for each in learned:
        each.requires_grad_(False)
    yield "with frozen weights", nullcontext()
    for each in learned:
        each.requires_grad_(True)


def _results(model: RecurrentModel, x: Tensor) -> dict[str, Any]:
    """The results of calls of every sort."""
    initial = model.initial_state(len(x))
    output, final = model.backbone(x)
    padded, at_ends = model.backbone(x, final, lengths=new_lengths())
    single, after = model.backbone(x[:, :1], final)
    return {
        "initial state of an earlier call": initial,
        "output of an earlier call": output,
        "final state of an earlier call": final,
        "output of an earlier call with lengths": padded,
        "final state of an earlier call with lengths": at_ends,
        "output of an earlier call of one step": single,
        "final state of an earlier call of one step": after,
    }


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _copy(part) for name, part in value.items()}
    return map_state(lambda part: part.detach().clone(), value)


def _equal(one: Any, other: Any) -> bool:
    return not largest_difference(one, other, relative=1e-9, absolute=1e-11).message
