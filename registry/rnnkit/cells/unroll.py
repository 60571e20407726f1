"""One cell through time, one step after another.

Time runs forward here, and comes first in every tensor. The reverse direction is the same on reversed rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.modules import module as torch_module

from rnnkit.cells.cell import Cell
from rnnkit.model import as_wide, autocast_is_on, map_state, padding

Step = Callable[[Any, Any], tuple[Tensor, Any]]


def step_inputs(cell: Cell, x: Tensor) -> tuple[Step, Iterable[Any]]:
    """The function of one step, and what it takes at each of them.

    A cell with hooks, or with a `forward` of its own, is called as a module at every step, so that hooks see what they
    would see in a loop written by hand; any other projects its whole input first.
    """
    if needs_module_call(cell):
        return _called(cell), x.unbind()
    projected = cell.project(x)
    if isinstance(projected, tuple):
        return cell.step, zip(*(part.unbind() for part in projected), strict=True)
    return cell.step, projected.unbind()


def _called(cell: Cell) -> Step:
    """The step of a cell that is called as a module.

    A backward hook sees the gradient of the module's output, of which torch gives out an alias. Where that is a part of
    the state, the next step must read the alias too, or what flows back through time would pass by the hook.
    """

    def step(x_t: Any, state: Any) -> tuple[Tensor, Any]:
        output, after = cell(x_t, state)
        if output._base is None:
            return output, after
        return output, map_state(lambda part: output if part is output._base else part, after)

    return step


def step_loop(step: Step, steps: Iterable[Any], state: Any) -> tuple[Tensor, Any]:
    """The outputs of all steps, and the state after the last."""
    outputs = []
    for at_t in steps:
        output, state = step(at_t, state)
        outputs.append(output)
    return torch.stack(outputs), state


def cast_for_autocast(state: Any) -> Any:
    """The state in the dtype in which autocast multiplies matrices, if it is on: then all of a step has one dtype."""
    kind = next(iter(state)).device.type
    if not autocast_is_on(kind):
        return state
    dtype = torch.get_autocast_dtype(kind)
    return map_state(lambda part: part.to(dtype) if part.dtype == torch.float32 else part, state)


def freeze_finished_rows(step: Step, past: Sequence[Tensor]) -> Step:
    """The step that leaves the state of a row as it is once the row has ended; `past` says that at each step."""
    at_t = iter(past)

    def kept(projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        output, after = step(projected_t, state)
        return output, select_rows(next(at_t), state, after)

    return kept


def record_states(step: Step, states: list[Any]) -> Step:
    """The step that also puts each state into a list."""

    def recorded(projected_t: Any, state: Any) -> tuple[Tensor, Any]:
        output, after = step(projected_t, state)
        states.append(after)
        return output, after

    return recorded


class Rows(NamedTuple):
    """Where the rows of a batch end; every part is None if nothing is padded."""

    lengths: Tensor | None
    past: Sequence[Tensor] | None
    """At each step, whether a row has ended: `(batch,)`."""
    sources: Tensor | None
    """Where each step of the reversed rows comes from, `(time, batch)`: the valid steps backwards, then the rest."""

    @classmethod
    def of(cls, lengths: Tensor | None, time: int) -> Rows:
        if lengths is None:
            return cls(None, None, None)
        return cls(lengths, padding(lengths, time, batch_first=False).squeeze(-1).unbind(), _reversal(lengths, time))


def reversed_in_time(x: Tensor, sources: Tensor | None) -> Tensor:
    """The rows of x, `(time, batch, ...)`, backwards, by `Rows.sources`; undoes itself."""
    if sources is None:
        return x.flip(0)
    index = sources.reshape(sources.shape + (1,) * (x.dim() - 2)).expand_as(x)
    return x.gather(0, index)


def _reversal(lengths: Tensor, time: int) -> Tensor:
    steps = torch.arange(time, device=lengths.device)[:, None]
    return torch.where(steps < lengths, lengths - 1 - steps, steps)


def select_rows(rows: Tensor, before: Any, after: Any) -> Any:
    """The state after, but for some rows the one before."""
    return map_state(lambda old, new: torch.where(as_wide(rows, old), old, new), before, after)


def needs_module_call(cell: Cell) -> bool:
    """Whether a cell has hooks, or a `forward` of its own, and so must be called as a module."""
    # written out: this is asked at every call of every cell
    hooks = cell._forward_hooks or cell._forward_pre_hooks or cell._backward_hooks or cell._backward_pre_hooks
    everywhere = (
        torch_module._global_forward_hooks
        or torch_module._global_forward_pre_hooks
        or torch_module._global_backward_hooks
        or torch_module._global_backward_pre_hooks
    )
    return bool(hooks or everywhere or "forward" in cell.__dict__ or type(cell).forward is not Cell.forward)
