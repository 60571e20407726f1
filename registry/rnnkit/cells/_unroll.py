"""The step loop: one cell over a sequence, one step after another.

Time is the first axis of every tensor here and runs forward; the reverse direction is the same on reversed sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.modules import module as torch_module

from rnnkit.cells.cell import Cell
from rnnkit.model import autocast_is_on, expand_mask, map_state, padding_mask

Step = Callable[[Any, Any], tuple[Tensor, Any]]


def step_inputs(cell: Cell, x: Tensor) -> tuple[Step, Iterable[Any]]:
    """Return the function of one step, and its input at each step.

    A cell with hooks, or with its own `forward`, is called as a module at every step, so that hooks run as in a
    handwritten loop. Any other cell projects the whole sequence at once.
    """
    if needs_module_call(cell):
        return _module_step(cell), x.unbind()
    projected = cell.project(x)
    if isinstance(projected, tuple):
        return cell.step, zip(*(part.unbind() for part in projected), strict=True)
    return cell.step, projected.unbind()


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


def step_loop(step: Step, inputs: Iterable[Any], state: Any) -> tuple[Tensor, Any]:
    """Run all steps; return the stacked outputs and the final state."""
    outputs = []
    for input_t in inputs:
        output, state = step(input_t, state)
        outputs.append(output)
    return torch.stack(outputs), state


def cast_for_autocast(state: Any) -> Any:
    """Cast float32 parts of the state to the dtype of autocast, if it is enabled.

    Under autocast matrix products return the narrow dtype. Without the cast, the first step would mix two dtypes.
    """
    device_type = next(iter(state)).device.type
    if not autocast_is_on(device_type):
        return state
    dtype = torch.get_autocast_dtype(device_type)
    return map_state(lambda part: part.to(dtype) if part.dtype == torch.float32 else part, state)


def freeze_finished_sequences(step: Step, finished: Sequence[Tensor]) -> Step:
    """Wrap a step so that a sequence keeps its state after its last valid step; `finished` has a mask for each step."""
    masks = iter(finished)

    def frozen(projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        output, new = step(projected_t, state)
        return output, select_rows(next(masks), state, new)

    return frozen


def record_states(step: Step, states: list[Any]) -> Step:
    """Wrap a step so that it appends each new state to `states`."""

    def recorded(projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        output, new = step(projected_t, state)
        states.append(new)
        return output, new

    return recorded


class SequenceEnds(NamedTuple):
    """The ends of the sequences of a padded batch; every field is None if nothing is padded."""

    lengths: Tensor | None
    finished: Sequence[Tensor] | None
    """For each step a mask, `(batch,)`: True for sequences that have ended before it."""
    reversal: Tensor | None
    """For each step of the reversed sequences its index in the original: `(time, batch)`. Padding stays at the end."""

    @classmethod
    def of(cls, lengths: Tensor | None, time: int) -> SequenceEnds:
        if lengths is None:
            return cls(None, None, None)
        finished = padding_mask(lengths, time, batch_first=False).squeeze(-1).unbind()
        return cls(lengths, finished, _reversal(lengths, time))


def reverse_in_time(x: Tensor, reversal: Tensor | None) -> Tensor:
    """Reverse each sequence of x, `(time, batch, ...)`, within its own length; the function is its own inverse."""
    if reversal is None:
        return x.flip(0)
    index = reversal.reshape(reversal.shape + (1,) * (x.dim() - 2)).expand_as(x)
    return x.gather(0, index)


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
    global_hooks = (
        torch_module._global_forward_hooks
        or torch_module._global_forward_pre_hooks
        or torch_module._global_backward_hooks
        or torch_module._global_backward_pre_hooks
    )
    return bool(hooks or global_hooks or "forward" in cell.__dict__ or type(cell).forward is not Cell.forward)
