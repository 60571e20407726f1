"""Run one cell of a stack over whole sequences: by an executor, by its own `unroll`, or by the step loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from rnnkit.cells._planned_operator import unroll_compiled
from rnnkit.cells._regularization import Regularization, draw_masks
from rnnkit.cells._scan import fix_numbers, is_tracing, run_steps
from rnnkit.cells._unroll import (
    SequenceEnds,
    cast_for_autocast,
    needs_module_call,
    reverse_in_time,
    step_function,
    step_inputs,
)
from rnnkit.cells.cell import Cell
from rnnkit.cells.fused import ExecutionPaths, is_modified, unroll_fused
from rnnkit.cells.planned import STEP_LOOP, UNROLL, Execution, run_choices, unroll_planned
from rnnkit.model import map_state
from rnnkit.options import StackOptions

if TYPE_CHECKING:
    from rnnkit.plan import Choice


class CellCall(NamedTuple):
    """The arguments of a run of one cell, except its input.

    Attributes:
        cell: the cell.
        position: its index in the stack.
        is_reverse: True to run it on the reversed sequences.
        state: the state before the first step.
        initial: the state before the first step after a restart; None without restarts.
        ends: the ends and restarts of the sequences.
        choice: the executor that runs the cell; the reason why none does, for the step loop; or None for the methods of
            the cell, or what runs if they do not.
        record: True to return the states of all steps.
    """

    cell: Cell
    position: int
    is_reverse: bool
    state: Any
    initial: Any
    ends: SequenceEnds
    choice: Choice | str | None
    record: bool


class CellResult(NamedTuple):
    """The results of a run of one cell.

    Attributes:
        output: `(time, batch, features)`.
        final: the state after the last step.
        states: with `record` the state after every step, else None.
        execution: how the cell ran; None if `torch.compile` or `torch.export` traces it.
    """

    output: Tensor
    final: Any
    states: Any
    execution: Execution | None


class CellRunner(NamedTuple):
    """Runs the cells of a stack in one call.

    Attributes:
        options: the options of the stack.
        training: True in training.
        paths: the ways of running cells that the options allow.
        force_step_loop: True to run the step loop.
        number: the number of the stack, as of `new_number`.
    """

    options: StackOptions
    training: bool
    paths: ExecutionPaths
    force_step_loop: bool
    number: Tensor

    def run(self, call: CellCall, x: Tensor) -> CellResult:
        """Run a cell on x, `(time, batch, ...)`."""
        return self._run_reversed(call, x) if call.is_reverse else self._run(call, x)

    def _run_reversed(self, call: CellCall, x: Tensor) -> CellResult:
        """Run a cell on the reversed sequences; the results are in the original order."""
        ends, record = call.ends, call.record or call.ends.restarts is not None
        backwards = call._replace(ends=ends._replace(restarts=ends.reversed_restarts()), record=record)
        output, final, states, execution = self._run(backwards, reverse_in_time(x, ends.reversal))
        if record:
            states = map_state(lambda part: reverse_in_time(part, ends.reversal), states)
        if ends.restarts is not None:  # the final state is that of the last segment, which is read first
            start = ends.last_start()
            final = map_state(lambda part: part[start, torch.arange(part.shape[1], device=part.device)], states)
        return CellResult(reverse_in_time(output, ends.reversal), final, states, execution)

    def _run(self, call: CellCall, x: Tensor) -> CellResult:
        cell, state, lengths = call.cell, call.state, call.ends.lengths
        if isinstance(call.choice, tuple):
            (output, [final]), planned = run_choices([call.choice], [cell], x, [state], lengths)
            return CellResult(output, final, None, planned)
        execution = self._required_step_loop(call)
        changes = Regularization.of(self.options, cell, state, training=self.training)
        if execution is None:
            whole = self._run_whole_sequence(call, x, changes)
            if whole is not None:
                return whole
        is_one_step = x.shape[0] == 1
        inputs = step_inputs(cell, x)
        state = cast_for_autocast(cell, state)
        masks = () if changes is None else draw_masks(changes, inputs, state)
        if execution is None and not torch.compiler.is_compiling():
            result, execution = unroll_planned(
                cell, inputs, state, lengths, regularization=changes, masks=masks, is_one_step=is_one_step
            )
            if result is not NotImplemented:
                output, final = result
                return CellResult(output, final, None, execution)
        step = step_function(cell)
        if changes is not None:
            step, inputs = changes.traceable(state).apply(step), (inputs, masks) if masks else inputs
        is_scanned = is_tracing() and not is_one_step and not needs_module_call(cell)
        if is_scanned:
            fix_numbers(cell)
        initial = None if call.initial is None else cast_for_autocast(cell, call.initial)
        found = run_steps(step, inputs, state, initial, call.ends, record=call.record, is_scanned=is_scanned)
        return CellResult(*found, execution)

    def _required_step_loop(self, call: CellCall) -> Execution | None:
        """Return the step loop and the reason, if no executor may replace it."""
        if self.force_step_loop or call.record or call.initial is not None:
            return Execution(STEP_LOOP)
        if not self.paths.plans:
            return Execution(STEP_LOOP, "an option of the stack changes its steps")
        return Execution(STEP_LOOP, call.choice) if isinstance(call.choice, str) else None

    def _run_whole_sequence(self, call: CellCall, x: Tensor, changes: Regularization | None) -> CellResult | None:
        """Run a cell by its own `unroll`, or in a compiled model by its plan; return None if neither is possible."""
        cell, state, lengths = call.cell, call.state, call.ends.lengths
        if self.paths.cells:
            result = unroll_fused(cell, x, state, lengths)
            if result is not NotImplemented:
                output, final = result
                return CellResult(output, final, None, UNROLL)
        if changes is not None or x.shape[0] == 1 or not torch.compiler.is_compiling() or is_modified(cell):
            return None
        result = unroll_compiled(self.number, call.position, cell, x, state, lengths)
        if result is NotImplemented:
            return None
        output, final = result
        return CellResult(output, final, None, None)
