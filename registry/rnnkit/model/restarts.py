"""Restarts inside sequences: each sequence is split into segments, which run as one padded batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit.errors import StepError
from rnnkit.model.backbone import Backbone
from rnnkit.model.state import flatten_with_paths


class Segments(NamedTuple):
    """The segments of a batch, sequence by sequence: from a restart to the step before the next one."""

    sequence: Tensor
    """The sequence of each segment, `(segments,)`."""
    start: Tensor
    """The first step of each segment, `(segments,)`."""
    lengths: Tensor
    """The number of steps of each segment, `(segments,)`; 0 for a sequence of length 0."""
    of_step: Tensor
    """The segment of each step, `(batch, time)`; past the length of a sequence its last segment."""

    @classmethod
    def of(cls, restarts: Tensor, lengths: Tensor) -> Segments:
        """Return the segments for restarts, `(batch, time)`, of sequences with these lengths, `(batch,)`."""
        batch, time = restarts.shape
        steps = torch.arange(time, device=restarts.device)
        starts = (restarts & (steps < lengths[:, None])) | (steps == 0)
        sequence, start = starts.nonzero().unbind(1)
        of_step = starts.flatten().cumsum(0).reshape(batch, time) - 1
        end = torch.cat([start[1:], lengths[-1:]])
        is_last = torch.cat([sequence[1:] != sequence[:-1], sequence.new_ones(1, dtype=torch.bool)])
        return cls(sequence, start, torch.where(is_last, lengths[sequence], end) - start, of_step)


def run_with_restarts(
    backbone: Backbone, x: Tensor, state: Any | None, lengths: Tensor | None, restarts: Tensor
) -> tuple[Tensor, Any]:
    """Return the output and the final state of a backbone that starts from its initial state at each restart.

    Args:
        backbone: the backbone.
        x: its input, at least one step of one sequence.
        state: the initial state; None: `initial_state`.
        lengths: number of valid steps of each sequence, `(batch,)`, int64; None: all are valid.
        restarts: True at the steps before which the state is reset, in the layout of x without features.

    Raises:
        StepError: a part of the state has no batch axis, so that it cannot be reset for one sequence alone.
    """
    if any(axis is None for _, axis in flatten_with_paths(backbone.batch_axes())):
        raise StepError("restarts requires a state whose parts all have a batch axis, for example that of 'lstm_cell'")
    restarts, lengths = restarts.to(x.device), None if lengths is None else lengths.to(x.device)
    if not backbone.batch_first:
        x, restarts = x.transpose(0, 1), restarts.transpose(0, 1)
    ends = torch.full(x.shape[:1], x.shape[1], device=x.device) if lengths is None else lengths
    segments = Segments.of(restarts, ends)
    output, final = _run_segments(backbone, x, _initial_states(backbone, state, restarts, segments), segments)
    output = output[segments.of_step, _step_in_segment(segments, output.shape[1])]
    if lengths is not None:
        past = torch.arange(x.shape[1], device=x.device) >= lengths[:, None]
        output = output.masked_fill(past.unsqueeze(-1), 0)
    output = output if backbone.batch_first else output.transpose(0, 1)
    return output, backbone.select_state(final, segments.of_step[:, -1])


def _run_segments(backbone: Backbone, x: Tensor, states: Any | None, segments: Segments) -> tuple[Tensor, Any]:
    """Return the output of each segment, `(segments, longest, features)`, and its final state."""
    longest = max(1, int(segments.lengths.max()))
    steps = segments.start[:, None] + torch.arange(longest, device=x.device)
    x = x[segments.sequence[:, None], steps.clamp(max=x.shape[1] - 1)]
    x = x if backbone.batch_first else x.transpose(0, 1)
    output, final = backbone(x, states, segments.lengths)
    return (output if backbone.batch_first else output.transpose(0, 1)), final


def _initial_states(backbone: Backbone, state: Any | None, restarts: Tensor, segments: Segments) -> Any | None:
    """Return the given state of each sequence for its first segment, and the initial state for all others."""
    if state is None:
        return None
    restarted_at_once = restarts[segments.sequence, 0] & (segments.lengths > 0)
    is_restarted = (segments.start > 0) | restarted_at_once
    return backbone.reset_state(backbone.select_state(state, segments.sequence), is_restarted)


def _step_in_segment(segments: Segments, longest: int) -> Tensor:
    """Return the step of the segment for each step of the sequence, `(batch, time)`; any step past the length."""
    steps = torch.arange(segments.of_step.shape[1], device=segments.of_step.device)
    return (steps - segments.start[segments.of_step]).clamp(max=longest - 1)
