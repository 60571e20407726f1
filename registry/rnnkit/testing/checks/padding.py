"""Variable-length sequences."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentModel
from rnnkit.model import padding_mask
from rnnkit.testing._check import check
from rnnkit.testing._context import (
    BATCH,
    BATCH_AXES,
    DIRECTIONS,
    LENGTHS,
    TIME,
    CheckContext,
    new_lengths,
    with_gradients,
)
from rnnkit.testing._per_sequence import batch_axes, batched_parts, run_sequences_alone

_CONTENTS = (math.nan, math.inf, 1e30, 0.0)
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


@check("numerics")
def padding_has_no_effect(context: CheckContext) -> None:
    """Padding has no effect, whatever it holds: each sequence equals the same sequence alone, cut to its length.

    Steps past the length are computed: the final state is that of the last padded step, the reverse direction starts in
    the padding, or padding is multiplied by zero, which keeps NaN.
    """
    for case in context.cases_in_both_layouts():
        model, x, state = case.setup()
        x.requires_grad_()
        expected = with_gradients(model.backbone, *run_sequences_alone(model, x, state, LENGTHS), x)
        past = padding_mask(torch.tensor(LENGTHS), TIME, batch_first=case.spec.batch_first)
        for content in _CONTENTS:
            padded = x.detach().masked_fill(past, content).requires_grad_()
            actual = with_gradients(model.backbone, *_run_batch(model, padded, state), padded)
            context.assert_each_close(actual, expected, f"with padding of {content},")
            for name in ("output", "gradient by input 0"):
                at_padding = actual[name].masked_fill(~past, 0)
                context.assert_equal(at_padding, torch.zeros_like(at_padding), f"in padding of {content}, the {name}")


@check("numerics")
def full_lengths_equal_no_lengths(context: CheckContext) -> None:
    """Lengths that all equal the number of steps have no effect, in any integer dtype.

    The code path with lengths differs from the one without.
    """
    for case in context.cases(readout="all"):
        model, x, state = case.setup()
        expected = model(x, state, return_state=True)
        for dtype in _INTEGERS:
            lengths = torch.full((BATCH,), TIME, dtype=dtype)
            actual = model(x, state, lengths=lengths, return_state=True)
            context.assert_close(actual, expected, f"with full lengths of {dtype}, the output and state")


@check("numerics")
def forms_of_lengths_are_equal(context: CheckContext) -> None:
    """`lengths` by position, as a list and as a `mask` give the results of `lengths` as a tensor by keyword.

    The backbone overrides `forward`, with keyword-only arguments or without validating them.
    """
    for case in context.cases(DIRECTIONS, BATCH_AXES):
        (model, x, state), lengths = case.setup(), new_lengths()
        expected = model(x, state, lengths=lengths, return_state=True)
        valid = ~padding_mask(lengths, TIME, batch_first=case.spec.batch_first)[..., 0]
        results = {
            "lengths by position": model(x, state, lengths, return_state=True),
            "lengths as a list": model(x, state, list(LENGTHS), return_state=True),
            "a mask": model(x, state, mask=valid, return_state=True),
        }
        for what, actual in results.items():
            context.assert_close(actual, expected, f"with {what}, the output and state")
        expected = model.backbone(x, state, lengths=lengths)
        for each in (lengths, list(LENGTHS)):
            result = model.backbone(x, state, each)
            context.assert_close(result, expected, f"of the backbone, with lengths={each} by position, the result")


def _run_batch(model: RecurrentModel, x: Tensor, state: Any) -> tuple[Tensor, list[Tensor]]:
    output, final = model.backbone(x, state, lengths=torch.tensor(LENGTHS))
    return output, batched_parts(final, batch_axes(model))
