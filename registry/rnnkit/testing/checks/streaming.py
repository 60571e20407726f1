"""Sequences run in chunks or step by step."""

from __future__ import annotations

import torch

from rnnkit.testing._check import check
from rnnkit.testing._context import BATCH_AXES, TIME, CheckContext, random_state


@check("numerics")
def chunks_equal_full_sequence(context: CheckContext) -> None:
    """Running a sequence in two chunks, the second from the final state of the first, equals running it at once.

    A value that is carried from step to step is not part of the state, or the returned state is not the last one.
    """
    for case in context.cases(context.kind.variants, BATCH_AXES, readout="all"):
        model, x = case.model(), case.input()
        state = random_state(model)
        first, second = x.split([2, TIME - 2], dim=case.time_axis)
        y_first, between = model(first, state, return_state=True)
        y_second, final = model(second, between, return_state=True)
        output = torch.cat([y_first, y_second], dim=case.time_axis)
        context.assert_close((output, final), model(x, state, return_state=True), "the output and state of two chunks")


@check("numerics")
def step_equals_forward(context: CheckContext) -> None:
    """Running a sequence with `model.step`, step by step, equals running it at once.

    A step depends on later inputs or on the length of the sequence.
    """
    for case in context.cases(context.kind.variants, BATCH_AXES, readout="all"):
        model, x = case.model(), case.input()
        outputs, state = [], None
        for x_t in x.unbind(case.time_axis):
            y_t, state = model.step(x_t, state)
            outputs.append(y_t)
        stepped = torch.stack(outputs, dim=case.time_axis)
        context.assert_close((stepped, state), model(x, return_state=True), "the output and state of `step`")
