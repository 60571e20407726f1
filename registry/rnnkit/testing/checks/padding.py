"""What a kind promises of rows of different lengths."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentModel
from rnnkit.model import padding
from rnnkit.testing.check import check
from rnnkit.testing.check_context import (
    BATCH,
    BATCH_AXES,
    DIRECTIONS,
    LENGTHS,
    TIME,
    CheckContext,
    random_state,
    with_gradients,
)
from rnnkit.testing.per_sequence import batch_axes, each_row_alone, parts_by_row

_CONTENTS = (math.nan, math.inf, 1e30, 0.0)
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


@check("numerics")
def padding_has_no_effect(context: CheckContext) -> None:
    """What the input holds past a row's length changes nothing: each row gets what it gets alone, cut at its length.

    Steps past the length are taken: the last state is that at the end of the tensor, or the reverse direction starts
    there, or a multiplication by zero is meant to undo them.
    """
    for case in context.cases([*context.kind_under_test.variants, *BATCH_AXES[1:]], DIRECTIONS):
        model, x, state = case.model(), case.input().requires_grad_(), random_state(case.model())
        expected = with_gradients(model.backbone, *each_row_alone(model, x, state, LENGTHS), x)
        past = padding(torch.tensor(LENGTHS), TIME, batch_first=case.spec.batch_first)
        for content in _CONTENTS:
            padded = x.detach().masked_fill(past, content).requires_grad_()
            actual = with_gradients(model.backbone, *_together(model, padded, state), padded)
            context.each_same(actual, expected, f"where the padding is {content},")
            for name in ("output", "gradient by input 0"):
                at_padding = actual[name].masked_fill(~past, 0)
                context.equal(at_padding, torch.zeros_like(at_padding), f"at padding of {content}, the {name}")


@check("numerics")
def full_lengths_equal_no_lengths(context: CheckContext) -> None:
    """Where every row is as long as the input, lengths change nothing, whatever integer dtype they have.

    Rows with lengths take another way through the code, which is not quite the same.
    """
    for case in context.cases(readout="all"):
        model, x, state = case.model(), case.input(), random_state(case.model())
        expected = model(x, state, return_state=True)
        for dtype in _INTEGERS:
            lengths = torch.full((BATCH,), TIME, dtype=dtype)
            actual = model(x, state, lengths=lengths, return_state=True)
            context.same(actual, expected, f"with full lengths of {dtype}, the output and state")


def _together(model: RecurrentModel, x: Tensor, state: Any) -> tuple[Tensor, list[Tensor]]:
    output, final = model.backbone(x, state, lengths=torch.tensor(LENGTHS))
    return output, parts_by_row(final, batch_axes(model))
