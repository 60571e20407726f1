"""The steps of a cell as one operator of a traced program, so that the number of steps stays free."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rnnkit.cells._unroll import (
    SequenceEnds,
    Step,
    freeze_finished_sequences,
    reset_at_restarts,
    step_loop,
)
from rnnkit.model import autocast_is_on, map_state, replace_tensors, state_tensors, transforms_are_active


def is_tracing() -> bool:
    """True while `torch.compile` or `torch.export` traces, outside the transforms of `torch.func`."""
    return torch.compiler.is_compiling() and not transforms_are_active()


def fix_numbers(cell: nn.Module) -> None:
    """Make the numbers that the modules of a cell hold constants of a traced program, compiled again if they change.

    With `dynamic=True`, `torch.compile` makes them symbols, which some functions, such as `F.layer_norm`, refuse inside
    `scan`.
    """
    for module in cell.modules():
        for name, value in module.__dict__.items():
            if isinstance(value, float):
                (number,) = {value}  # a member of a set is hashed, for which a symbol must have a value
                setattr(module, name, number)


def run_steps(
    step: Step, inputs: Any, state: Any, initial: Any, ends: SequenceEnds, *, record: bool, is_scanned: bool
) -> tuple[Tensor, Any, Any]:
    """Run steps one after another: as one operator of a traced program if `is_scanned`, else in a loop.

    Args:
        step: the function of one step.
        inputs: its inputs at all steps.
        state: the state before the first step.
        initial: the state before the first step after a restart; None without restarts.
        ends: the ends and restarts of the sequences.
        record: True to return the state after every step as well.
        is_scanned: True in a traced program.

    Returns:
        As `step_loop`.
    """
    if ends.restarts is not None:
        step, inputs = reset_at_restarts(step, inputs, initial, ends.restarts)
    if ends.finished is not None:
        step, inputs = freeze_finished_sequences(step, inputs, ends.finished)
    run = scan_steps if is_scanned else step_loop
    return run(step, inputs, state, record=record)


def scan_steps(step: Any, inputs: Any, state: Any, *, record: bool) -> tuple[Tensor, Any, Any]:
    """Compute `step_loop` by torch's operator `scan`."""

    # The operator takes lists of tensors that neither share memory nor change their strides: hence the clones.
    def body(state_t: list[Tensor], inputs_t: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        output, new = step(replace_tensors(inputs, inputs_t), replace_tensors(state, state_t))
        kept = [output, *(state_tensors(new) if record else [])]
        return [part.clone() for part in state_tensors(new)], [part.clone() for part in kept]

    state = _widen(step, inputs, state)
    initial = [part.clone(memory_format=torch.contiguous_format) for part in state_tensors(state)]
    final, stacked = _torch_scan()(body, initial, [part.contiguous() for part in state_tensors(inputs)])
    return stacked[0], replace_tensors(state, final), replace_tensors(state, stacked[1:]) if record else None


def _widen(step: Any, inputs: Any, state: Any) -> Any:
    """Cast the state to the dtypes of the state after a step, which autocast may have widened: `scan` keeps them."""
    if not autocast_is_on(state_tensors(state)[0].device.type):
        return state
    _, new = step(map_state(lambda part: part[0], inputs), state)
    return map_state(lambda part, after: part.to(after.dtype), state, new)


def _torch_scan() -> Any:
    try:
        # not public in torch 2.13, whose documentation calls it a prototype
        from torch._higher_order_ops.scan import scan  # loads torch's compiler
    except ImportError as error:
        raise RuntimeError(
            f"torch {torch.__version__} has no torch._higher_order_ops.scan, which torch.compile and torch.export of "
            "this kind require: use torch 2.13, or a kind that torch's kernels run, such as 'lstm'"
        ) from error
    return scan
