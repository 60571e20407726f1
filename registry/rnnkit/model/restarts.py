"""Restarts inside sequences: each sequence is split into segments, which run as one padded batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit.errors import StepError
from rnnkit.model.backbone import Backbone
from rnnkit.model.state import flatten_with_paths


class RestartSegments(NamedTuple):
    """The segments of a batch with restarts, sequence by sequence: from a restart to the step before the next one.

    A segment is a sequence of its own, so that any function of sequences with lengths can run all of them as one batch:

    ```python
    segments = RestartSegments.of(restarts, lengths)
    output, final = run(segments.split(x), segments.lengths)
    output, final = segments.join(output), final[segments.last]
    ```

    The number of segments depends on the values of `restarts`, so the methods cannot be traced: a backbone calls them
    in eager mode, or inside a custom operator.
    """

    sequence: Tensor
    """The sequence of each segment, `(segments,)`."""
    start: Tensor
    """The first step of each segment, `(segments,)`."""
    lengths: Tensor
    """The number of steps of each segment, `(segments,)`; 0 for a sequence of length 0."""
    is_reset: Tensor
    """True for the segments that start from the initial state, `(segments,)`; the others start from the given state."""
    of_step: Tensor
    """The segment of each step, `(batch, time)`; past the length of a sequence its last segment."""

    @classmethod
    def of(cls, restarts: Tensor, lengths: Tensor | None) -> RestartSegments:
        """Return the segments of a batch of one sequence or more.

        Args:
            restarts: `(batch, time)` of dtype bool.
            lengths: number of valid steps of each sequence, `(batch,)`, on the device of `restarts`; None: all are.
        """
        batch, time = restarts.shape
        steps = torch.arange(time, device=restarts.device)
        lengths = torch.full((batch,), time, device=restarts.device) if lengths is None else lengths
        resets = restarts & (steps < lengths[:, None])
        starts = resets | (steps == 0)
        sequence, start = starts.nonzero().unbind(1)
        of_step = starts.flatten().cumsum(0).reshape(batch, time) - 1
        end = torch.cat([start[1:], lengths[-1:]])
        is_last = torch.cat([sequence[1:] != sequence[:-1], sequence.new_ones(1, dtype=torch.bool)])
        segment_lengths = torch.where(is_last, lengths[sequence], end) - start
        return cls(sequence, start, segment_lengths, resets[sequence, start], of_step)

    @property
    def last(self) -> Tensor:
        """The last segment of each sequence, `(batch,)`, whose final state is that of the sequence."""
        return self.of_step[:, -1]

    def split(self, x: Tensor) -> Tensor:
        """Return the segments of x, `(batch, time, ...)`: `(segments, longest, ...)`, arbitrary past their lengths."""
        longest = max(1, int(self.lengths.max()))
        steps = self.start[:, None] + torch.arange(longest, device=x.device)
        return x[self.sequence[:, None], steps.clamp(max=x.shape[1] - 1)]

    def join(self, output: Tensor) -> Tensor:
        """Return the output of the segments as that of the sequences, `(batch, time, ...)`, zeros past the lengths."""
        steps = torch.arange(self.of_step.shape[1], device=output.device) - self.start[self.of_step]
        joined = output[self.of_step, steps.clamp(max=output.shape[1] - 1)]
        return joined.masked_fill((steps >= self.lengths[self.of_step]).unsqueeze(-1), 0)


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
    segments = RestartSegments.of(restarts, lengths)
    if state is not None:
        state = backbone.reset_state(backbone.select_state(state, segments.sequence), segments.is_reset)
    parts = segments.split(x)
    output, final = backbone(parts if backbone.batch_first else parts.transpose(0, 1), state, segments.lengths)
    output = segments.join(output if backbone.batch_first else output.transpose(0, 1))
    return (output if backbone.batch_first else output.transpose(0, 1)), backbone.select_state(final, segments.last)
