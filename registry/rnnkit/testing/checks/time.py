"""What a kind promises of time: steps, pieces and wholes agree."""

from __future__ import annotations

import torch

from rnnkit.testing.check import check
from rnnkit.testing.check_context import BATCH_AXES, TIME, CheckContext, random_state


@check("numerics")
def chunks_equal_full_sequence(context: CheckContext) -> None:
    """Running two halves of a sequence, the second from the state of the first, gives what running it whole gives.

    Something is carried from step to step that is not in the state, or the state that is returned is not the last.
    """
    for case in context.cases(context.kind_under_test.variants, BATCH_AXES, readout="all"):
        model, x = case.model(), case.input()
        state = random_state(model)
        first, second = x.split([2, TIME - 2], dim=case.time_axis)
        y_first, between = model(first, state, return_state=True)
        y_second, final = model(second, between, return_state=True)
        halves = torch.cat([y_first, y_second], dim=case.time_axis)
        context.same((halves, final), model(x, state, return_state=True), "the output and state of two halves")


@check("numerics")
def step_equals_forward(context: CheckContext) -> None:
    """Running a sequence one `model.step` after another gives what running it whole gives.

    A step reads something that it cannot know yet, such as a later input or the length of the sequence.
    """
    for case in context.cases(context.kind_under_test.variants, BATCH_AXES, readout="all"):
        model, x = case.model(), case.input()
        outputs, state = [], None
        for x_t in x.unbind(case.time_axis):
            y_t, state = model.step(x_t, state)
            outputs.append(y_t)
        stepped = torch.stack(outputs, dim=case.time_axis)
        context.same((stepped, state), model(x, return_state=True), "the output and state of single steps")
