"""Restarts inside sequences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentModel
from rnnkit.testing._check import check
from rnnkit.testing._comparison import leaves
from rnnkit.testing._context import BATCH, LENGTHS, TIME, CheckContext, random_state
from rnnkit.testing._per_sequence import batch_axes, batched_parts, select_sequences

_RESTARTS = ((0, 0, 1, 0, 1), (1, 1, 0, 0, 1), (0, 1, 0, 0, 0), (0, 0, 0, 1, 0))  # by sequence and step


@check("shape and state")
def restarts_equal_pieces(context: CheckContext) -> None:
    """With `restarts`, each sequence gives the results of its pieces, each run alone from `initial_state`.

    `initial_state` depends on the position in the batch, or `reset_state` or `forward` is overridden.
    """
    for case in context.cases_in_both_layouts(readout="all", output_size=None):
        model, x = case.model(), case.input()
        state = None if case.spec.bidirectional else random_state(model)
        context.skip_unless(_all_have_batch_axis(model), "a part of its state has no batch axis")
        restarts = torch.tensor(_RESTARTS, dtype=torch.bool)
        restarts = restarts if case.spec.batch_first else restarts.t()
        for lengths in ([TIME] * BATCH, LENGTHS):
            output, final = model(x, state, lengths=lengths, restarts=restarts, return_state=True)
            expected = _run_pieces(model, x, state, lengths)
            what = f"with restarts and lengths={list(lengths)}, by sequence, the outputs and final state"
            actual = (output, batched_parts(final, batch_axes(model)))
            context.assert_close(actual, expected, what)


def _all_have_batch_axis(model: RecurrentModel) -> bool:
    state = model.initial_state(1)
    return len(batched_parts(state, batch_axes(model))) == len(leaves(state))


@torch.no_grad()
def _run_pieces(model: RecurrentModel, x: Tensor, state: Any, lengths: Sequence[int]) -> tuple[Tensor, list[Tensor]]:
    """The outputs, zeros past the lengths, and the final states of all sequences."""
    axes, batch_axis = batch_axes(model), 0 if model.spec.batch_first else 1
    states = model.initial_state(BATCH) if state is None else state
    results = [
        _run_sequence(model, x.narrow(batch_axis, i, 1), select_sequences(states, axes, [i]), length, _RESTARTS[i])
        for i, length in enumerate(lengths)
    ]
    finals = zip(*(batched_parts(final, axes) for _, final in results), strict=True)
    return torch.cat([output for output, _ in results], dim=batch_axis), [torch.cat(part) for part in finals]


def _run_sequence(
    model: RecurrentModel, x: Tensor, state: Any, length: int, restarts: Sequence[int]
) -> tuple[Tensor, Any]:
    """The output and final state of one sequence, piece by piece."""
    time_axis = 1 if model.spec.batch_first else 0
    output = x.new_zeros(*x.shape[:2], model.backbone.features)
    starts = [step for step in range(length) if step == 0 or restarts[step]]
    for start, end in pairwise([*starts, length]) if length else ():
        before = state if start == 0 and not restarts[0] else None
        y, state = model(x.narrow(time_axis, start, end - start), before, return_state=True)
        output.narrow(time_axis, start, end - start).copy_(y)
    return output, state
