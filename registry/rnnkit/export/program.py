"""Export a model to a `torch.export.ExportedProgram`."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from rnnkit._messages import short_repr
from rnnkit.errors import ExportError
from rnnkit.export._evaluation import evaluation
from rnnkit.export._flat_model import FlatModel, SingleStep, WholeSequences
from rnnkit.export._report import ExportReport
from rnnkit.export._tracing import operator_counts, trace, trace_step_loop
from rnnkit.export._verification import TOLERANCE
from rnnkit.export._verification import verify as verify_export
from rnnkit.files import atomic_write
from rnnkit.model import RecurrentModel

if TYPE_CHECKING:
    from torch.export import ExportedProgram


def export_program(
    model: RecurrentModel,
    *,
    lengths: bool = False,
    state: bool = False,
    step: bool = False,
    native: bool = True,
    verify: bool = True,
    tolerance: float = TOLERANCE,
) -> ExportedProgram:
    """Export a model in evaluation mode to a program of torch, with free sizes of batch and time.

    ```python
    program = export_program(model, lengths=True, state=True)
    y, *state = program.module()(x, lengths, *state)
    torch.export.save(program, "model.pt2")
    ```

    The program takes and returns tensors only: `(x, lengths, *state) -> (y, *state)`, or `y` alone without `state`. The
    tensors of the state are in the order of `flatten_state`. As in the model, values of x past `lengths` have no
    effect. Values of `lengths` and token ids are not checked, because a program cannot.

    While it traces, `torch.export` disables cuDNN, oneDNN and NNPACK in the whole process.

    Args:
        model: the model, which is not changed.
        lengths: True for an input with the number of valid steps of each sequence, `(batch,)`, int64 in [0, time].
        state: True for inputs with the initial state and outputs with the final state.
        step: True for a program of one step, `(x_t, *state) -> (y, *state)`; `lengths` and `state` must be False.
        native: False for a program that needs torch alone. Otherwise it may have an operator of the kind's plugin, for
            speed, and a process that loads the program must import that plugin first.
        verify: False to skip the comparison with the model.
        tolerance: the largest accepted difference, relative to the largest value of an output.

    Raises:
        ExportError: the model cannot be traced, or the program differs from it.
        StepError: `step=True`, and the model has no single steps.
    """
    flat = flat_model(model, lengths=lengths, state=state, step=step)
    return _export(flat, native=native, verify=verify, tolerance=tolerance)[0]


def save_program(
    model: RecurrentModel,
    path: str | os.PathLike[str],
    *,
    lengths: bool = False,
    state: bool = False,
    step: bool = False,
    native: bool = True,
    verify: bool = True,
) -> ExportReport:
    """Write the program of `export_program` to a `.pt2` file, which `torch.export.load` reads.

    Raises:
        ExportError: as from `export_program`.
        StepError: likewise.
        OSError: the file cannot be written.
    """
    flat = flat_model(model, lengths=lengths, state=state, step=step)
    program, difference = _export(flat, native=native, verify=verify, tolerance=TOLERANCE)
    content = io.BytesIO()
    torch.export.save(program, content)
    with atomic_write(path) as temporary:
        temporary.write_bytes(content.getbuffer())
    return ExportReport(
        path=os.fspath(path),
        inputs=tuple(program.graph_signature.user_inputs),  # pyright: ignore[reportArgumentType]  # names
        outputs=flat.outputs,
        operators=operator_counts(program),
        size=content.getbuffer().nbytes,
        difference=difference,
    )


def _export(flat: FlatModel, *, native: bool, verify: bool, tolerance: float) -> tuple[ExportedProgram, float | None]:
    """Return a program, and its difference from the model; None: it is not verified."""
    with evaluation(flat.model):
        program = trace(flat) if native else trace_step_loop(flat)
        if not verify:
            return program, None
        exported = program.module()

        def run(inputs: Sequence[Tensor]) -> Sequence[Tensor]:
            outputs = exported(*inputs)
            return (outputs,) if isinstance(outputs, Tensor) else outputs

        return program, verify_export(flat, run, tolerance, "The program")


def flat_model(model: RecurrentModel, *, lengths: bool, state: bool, step: bool) -> FlatModel:
    """Return a model as a function of the inputs that were asked for.

    Raises:
        ExportError: the model is not a `RecurrentModel`, has no values, or the inputs do not fit together.
        StepError: `step=True`, and the model has no single steps.
    """
    _check_model(model)
    if not step:
        return WholeSequences(model, lengths=lengths, state=state)
    if lengths or state:
        raise ExportError("step=True exports one step, which has states and no lengths: leave out lengths and state")
    return SingleStep(model)


def _check_model(model: Any) -> None:
    if not isinstance(model, RecurrentModel):
        modules = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
        inner = [name for name, module in modules.items() if isinstance(module, RecurrentModel)]
        hint = f": export its attribute {inner[0]!r}, which is one" if inner else ""
        raise ExportError(f"A RecurrentModel can be exported, not {short_repr(type(model).__name__)}{hint}")
    if model.device.type == "meta":
        raise ExportError("The model is on the meta device, which has no values: build it on another device")
