"""Run a cell by its plan, if an executor can."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from rnnkit.cells._regularization import Regularization
from rnnkit.cells.cell import Cell
from rnnkit.cells.fused import is_modified

if TYPE_CHECKING:
    from rnnkit.plan import Choice


class Execution(NamedTuple):
    """How a cell ran.

    Attributes:
        executor: the name of an executor, `unroll` or `unroll_layers` for those of the cell, or `step loop`.
        reason: why no executor ran the plan of the cell; empty if one did, or if none was asked.
    """

    executor: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.executor} ({self.reason})" if self.reason else self.executor


UNROLL = Execution("unroll")
UNROLL_LAYERS = Execution("unroll_layers")
STEP_LOOP = "step loop"
_ONE_STEP = "an executor takes longer for one step"
_MODIFIED = "hooks, parametrizations or attributes change the cell"
_NO_EXECUTOR = "no executor is installed"


def unroll_planned(
    cell: Cell,
    projected: Any,
    state: Any,
    lengths: Tensor | None,
    *,
    regularization: Regularization | None = None,
    masks: tuple[Tensor, ...] = (),
    is_one_step: bool,
) -> tuple[Any, Execution]:
    """Run a cell by its plan.

    Args:
        cell: the cell.
        projected: the projected input, `(time, batch, ...)`; finite past the length of each sequence, and otherwise
            arbitrary there.
        state: the state before the first step.
        lengths: the number of valid steps of each sequence, `(batch,)`, at least 0; None: all are valid.
        regularization: what changes the steps; None: nothing.
        masks: its masks; empty if it has none.
        is_one_step: True if the sequences have one step.

    Returns:
        The output and the final state, or `NotImplemented` for which the stack runs the step loop; and what runs.
    """
    choice = choose_executor(cell, projected, state, regularization, is_one_step=is_one_step)
    if isinstance(choice, str):
        return NotImplemented, Execution(STEP_LOOP, choice)
    result = choice.executor.unroll(choice.plan, cell, (projected, masks) if masks else projected, state, lengths)
    return result, Execution(choice.executor.name)


def has_executor() -> bool:
    """True if an executor is installed."""
    from rnnkit.executors import installed_executors  # as in `choose_executor`

    return bool(installed_executors())


def choose_executor(
    cell: Cell, inputs: Any, state: Any, regularization: Regularization | None = None, *, is_one_step: bool
) -> Choice | str:
    """Return the executor that is equal to the steps of a cell, or the reason why there is none.

    Args:
        cell: the cell.
        inputs: the projected input, or tensors of the same dtype and device.
        state: the state before the first step.
        regularization: what changes the steps; None: nothing.
        is_one_step: True if the sequences have one step.
    """
    if is_one_step:
        return _ONE_STEP
    if is_modified(cell):
        return _MODIFIED
    from rnnkit.executors import installed_executors  # models of one step do not pay for the import

    executors = installed_executors()
    if not executors:
        return _NO_EXECUTOR
    from rnnkit.plan import Refusal, choose

    choice = choose(executors, cell, inputs, state, regularization)
    return choice.reason if isinstance(choice, Refusal) else choice


def choose_executors(cells: Sequence[Cell], x: Tensor, states: Sequence[Any]) -> list[Choice | str]:
    """Return the executor of each cell, or the reason why it has none, for an input `(time, batch, ...)`."""
    from rnnkit.executors import installed_executors  # as in `choose_executor`

    executors = installed_executors()
    if x.shape[0] == 1 or not executors:
        return [_NO_EXECUTOR if x.shape[0] > 1 else _ONE_STEP] * len(cells)
    from rnnkit.plan import Refusal, choose_each

    changed = [is_modified(cell) for cell in cells]
    plain = [cell for cell, is_changed in zip(cells, changed, strict=True) if not is_changed]
    found = iter(choose_each(executors, plain, x, states))
    choices = [None if is_changed else next(found) for is_changed in changed]
    return [each.reason if isinstance(each, Refusal) else each or _MODIFIED for each in choices]


def run_choices(
    choices: Sequence[Choice], cells: Sequence[Cell], x: Tensor, states: Sequence[Any], lengths: Tensor | None
) -> tuple[tuple[Tensor, tuple[Any, ...]], Execution]:
    """Run layers, each on the output of the one below, by the executor that was chosen for them.

    Args:
        choices: the executor, the same for all cells, and their plans, which take the input except for the first.
        cells: the cells, from the bottom up.
        x: the input of the lowest cell, `(time, batch, ...)`.
        states: the state of each cell before the first step.
        lengths: as in `unroll_planned`.

    Returns:
        The output of the last cell and the final states, and what ran.
    """
    executor, plan = choices[0]
    inputs = x if plan.takes_input else cells[0].project_packed(x)
    result = executor.unroll_layers([choice.plan for choice in choices], cells, inputs, states, lengths)
    return result, Execution(executor.name)
