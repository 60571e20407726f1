"""One cell over a sequence, one step after another.

Time is the first axis of every tensor here and runs forward; the reverse direction is the same on reversed sequences.
All that differs between the steps is in `inputs`: nested tuples of tensors, `(time, batch, ...)` each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit.cells.cell import Cell, checked_step
from rnnkit.model import autocast_is_on, expand_mask, has_global_hooks, map_state, padding_mask

Step = Callable[[Any, Any], tuple[Tensor, Any]]


def step_inputs(cell: Cell, x: Tensor) -> Any:
    """Return the inputs of all steps: those of the cell if it must be called as a module, else the projected ones."""
    return x if needs_module_call(cell) else cell.project_packed(x)


def step_function(cell: Cell) -> Step:
    """Return the function of one step, which takes the inputs of `step_inputs`.

    A cell with hooks, or with its own `forward`, is called as a module at every step, so that hooks run as in a
    handwritten loop.
    """
    return _module_step(cell) if needs_module_call(cell) else checked_step(cell)


def _module_step(cell: Cell) -> Step:
    # A full backward hook makes torch return an alias of the module's output, whose gradient the hook receives. If the
    # output is also a part of the state, the next step must read the alias as well: otherwise the gradient through time
    # would bypass the hook.
    def step(x_t: Any, state: Any) -> tuple[Tensor, Any]:
        output, new = cell(x_t, state)
        if output._base is None:
            return output, new
        return output, map_state(lambda part: output if part is output._base else part, new)

    return step


def step_loop(step: Step, inputs: Any, state: Any, *, record: bool) -> tuple[Tensor, Any, Any]:
    """Run all steps.

    Args:
        step: the function of one step.
        inputs: its inputs at all steps.
        state: the state before the first step.
        record: True to return the state after every step as well.

    Returns:
        The stacked outputs, the final state, and the stacked states; None without `record`.
    """
    outputs, states = [], []
    for inputs_t in _each_step(inputs):
        output, state = step(inputs_t, state)
        outputs.append(output)
        if record:
            states.append(state)
    return torch.stack(outputs), state, map_state(lambda *parts: torch.stack(parts), *states) if record else None


def _each_step(inputs: Any) -> Iterable[Any]:
    """Return the inputs of one step after the other."""
    return zip(*map(_each_step, inputs), strict=True) if isinstance(inputs, tuple) else inputs.unbind()


def cast_for_autocast(cell: Cell, state: Any) -> Any:
    """Cast float32 parts of the state of a cell to the dtype of autocast, if it is enabled.

    Under autocast matrix products return the narrow dtype. Without the cast, the first step would mix two dtypes.
    """
    device_type = next(iter(state)).device.type
    if not (cell.narrows_state and autocast_is_on(device_type)):
        return state
    dtype = torch.get_autocast_dtype(device_type)
    return map_state(lambda part: part.to(dtype) if part.dtype == torch.float32 else part, state)


def freeze_finished_sequences(step: Step, inputs: Any, finished: Tensor) -> tuple[Step, Any]:
    """Let each sequence keep its state after its last valid step.

    Args:
        step: the function of one step.
        inputs: its inputs at all steps.
        finished: `SequenceEnds.finished`.

    Returns:
        A step and its inputs.
    """

    def frozen(inputs_t: Any, state: Any) -> tuple[Tensor, Any]:
        inner_t, finished_t = inputs_t
        output, new = step(inner_t, state)
        return output, select_rows(finished_t, state, new)

    return frozen, (inputs, finished)


def reset_at_restarts(step: Step, inputs: Any, initial: Any, restarts: Tensor) -> tuple[Step, Any]:
    """Let each sequence start again from the state `initial` before the steps where `restarts` is True.

    Args:
        step: the function of one step.
        inputs: its inputs at all steps.
        initial: the state before the first step of a sequence.
        restarts: `(time, batch)`.

    Returns:
        A step and its inputs.
    """

    def restarted(inputs_t: Any, state: Any) -> tuple[Tensor, Any]:
        inner_t, restarts_t = inputs_t
        return step(inner_t, select_rows(restarts_t, initial, state))

    return restarted, (inputs, restarts)


class SequenceEnds(NamedTuple):
    """The ends of the sequences of a padded batch, and the restarts inside them; a field is None if there are none."""

    lengths: Tensor | None
    finished: Tensor | None
    """True for sequences that have ended before a step, `(time, batch)`."""
    reversal: Tensor | None
    """For each step of the reversed sequences its index in the original: `(time, batch)`. Padding stays at the end."""
    restarts: Tensor | None
    """True at the steps before which a sequence starts again, `(time, batch)`."""

    @classmethod
    def of(cls, lengths: Tensor | None, time: int, restarts: Tensor | None = None) -> SequenceEnds:
        if lengths is None:
            return cls(None, None, None, restarts)
        finished = padding_mask(lengths, time, batch_first=False).squeeze(-1)
        restarts = None if restarts is None else restarts & ~finished
        return cls(lengths, finished, _reversal(lengths, time), restarts)

    def reversed_restarts(self) -> Tensor | None:
        """Return the restarts of the reversed sequences: the step before a restart in time is the one after it."""
        if self.restarts is None:
            return None
        after = torch.cat([self.restarts[1:], torch.zeros_like(self.restarts[:1])])
        return reverse_in_time(after, self.reversal)

    def last_start(self) -> Tensor | None:
        """Return the step of the last restart of each sequence, `(batch,)`; 0 for a sequence without one."""
        if self.restarts is None:
            return None
        steps = torch.arange(self.restarts.shape[0], device=self.restarts.device)
        return (self.restarts * steps[:, None]).amax(0)


def reverse_in_time(x: Tensor, reversal: Tensor | None) -> Tensor:
    """Reverse each sequence of x, `(time, batch, ...)`, within its own length; the function is its own inverse."""
    if reversal is None:
        return x.flip(0)
    index = reversal.reshape(reversal.shape + (1,) * (x.dim() - 2)).expand_as(x)
    return x.gather(0, index)


def elapsed_in_reverse(elapsed: Tensor, ends: SequenceEnds) -> Tensor:
    """Return the elapsed time that the reverse direction takes at each step, `(time, batch, 1)`, in the original order.

    It reads step t after step t + 1, so that the time between them is that of step t + 1. The last step of a sequence,
    which it reads first, takes the time of the first step, as that one does in the forward direction.

    Args:
        elapsed: the time since the previous step, `(time, batch, 1)`.
        ends: the ends and restarts of the sequences.
    """
    after = elapsed.roll(-1, 0)
    if ends.lengths is None and ends.restarts is None:
        return after
    time = elapsed.shape[0]
    steps = torch.arange(time, device=elapsed.device)[:, None]
    is_last = steps == (time if ends.lengths is None else ends.lengths) - 1
    first = elapsed[:1]
    if ends.restarts is not None:
        is_last = is_last | ends.restarts.roll(-1, 0)
        starts = (ends.restarts * steps).cummax(0).values
        first = elapsed.gather(0, starts.unsqueeze(-1))
    return torch.where(is_last.unsqueeze(-1), first, after)


def _reversal(lengths: Tensor, time: int) -> Tensor:
    steps = torch.arange(time, device=lengths.device)[:, None]
    return torch.where(steps < lengths, lengths - 1 - steps, steps)


def select_rows(mask: Tensor, state: Any, other: Any) -> Any:
    """Return `state` where `mask`, `(batch,)`, is True, and `other` elsewhere."""
    return map_state(lambda part, instead: torch.where(expand_mask(mask, part), part, instead), state, other)


def needs_module_call(cell: Cell) -> bool:
    """True if the cell must be called as a module, because it has hooks or its own `forward`."""
    # The same attributes that `nn.Module.__call__` reads. They are spelled out because this runs at every call.
    hooks = cell._forward_hooks or cell._forward_pre_hooks or cell._backward_hooks or cell._backward_pre_hooks
    return bool(hooks or has_global_hooks() or "forward" in cell.__dict__ or type(cell).forward is not Cell.forward)
