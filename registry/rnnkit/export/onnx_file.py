"""Export a model to an ONNX file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from rnnkit.errors import ExportError
from rnnkit.export._evaluation import evaluation
from rnnkit.export._extra import require
from rnnkit.export._flat_model import FlatModel
from rnnkit.export._onnx_model import OPSET, add_metadata, check_opset, onnx_model, operator_counts, serialize
from rnnkit.export._report import ExportReport
from rnnkit.export._verification import TOLERANCE
from rnnkit.export._verification import verify as verify_export
from rnnkit.export.program import flat_model
from rnnkit.files import atomic_write
from rnnkit.model import RecurrentModel

if TYPE_CHECKING:
    import onnx

_INT8_TOLERANCE = 0.5  # 8-bit weights are rarely off by more than 0.1; a larger difference is a fault


def export_onnx(
    model: RecurrentModel,
    path: str | os.PathLike[str],
    *,
    lengths: bool = False,
    state: bool = False,
    step: bool = False,
    native: bool = True,
    opset: int = OPSET,
    int8: bool = False,
    verify: bool = True,
    tolerance: float = TOLERANCE,
) -> ExportReport:
    """Export a model in evaluation mode to an ONNX file, with free sizes of batch and time.

    ```python
    export_onnx(model, "model.onnx")  # x -> y
    export_onnx(model, "model.onnx", lengths=True, state=True)  # x, lengths, state.h_n -> y, state_out.h_n
    export_onnx(model, "step.onnx", step=True)  # x_t, state.h_n -> y, state_out.h_n
    ```

    Recurrent networks become the operators RNN, GRU and LSTM of ONNX where it has them, and otherwise a `Scan` of their
    step. Before the file is written, ONNX Runtime runs it at sizes that it was not exported with, and its outputs must
    equal those of the model: with NaN in the padding, a sequence of length 0 and states that are not zero, if it has
    such inputs. Values of `lengths` and token ids are not checked by the file.

    Args:
        model: the model, which is not changed.
        path: path of the file, which ends in `.onnx`. The file is written atomically: it replaces an older file
            completely or, after an error, not at all.
        lengths: True for an input `lengths`, the number of valid steps of each sequence, `(batch,)`, int64 in [0,
            time].
        state: True for inputs with the initial state, such as `state.0.h`, and outputs with the final state, such as
            `state_out.0.h`; the names are those of `flatten_state`.
        step: True for one step, `x_t` and the states -> `y` and the states, for streaming; `lengths` and `state` must
            be False.
        native: False for a `Scan` in place of the operators RNN, GRU and LSTM.
        opset: the version of the ONNX operators, at least 18.
        int8: True to quantize weights to 8 bits, computing with 8-bit inputs (ONNX Runtime's dynamic quantization). It
            pays for LSTM only: other recurrent weights stay float. The difference is reported, and may be large.
        verify: False to skip the comparison with the model, which needs onnxruntime.
        tolerance: the largest accepted difference, relative to the largest value of an output.

    Returns:
        The names of inputs and outputs, the operators, the size of the file, and the difference from the model.

    Raises:
        ExportError: a package of `rnnkit[onnx]` is not installed, the model cannot be traced or translated, or the file
            differs from the model.
        StepError: `step=True`, and the model has no single steps.
        OSError: the file cannot be written.
    """
    _check_path(path)
    check_opset(opset)
    require("onnx", "onnxscript", *(["onnxruntime"] if verify or int8 else []))
    flat = flat_model(model, lengths=lengths, state=state, step=step)
    with evaluation(model):
        exported = add_metadata(onnx_model(flat, native=native, opset=opset), model.spec)
        content = serialize(exported)
        difference = _verify(content, flat, tolerance) if verify else None
        float_size = None
        if int8:
            float_size, exported = len(content), _quantize(exported)
            content = serialize(exported)
            difference = _verify(content, flat, _INT8_TOLERANCE) if verify else None
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return ExportReport(
        path=os.fspath(path),
        inputs=tuple(each.name for each in flat.inputs),
        outputs=flat.outputs,
        operators=operator_counts(exported),
        size=len(content),
        difference=difference,
        float_size=float_size,
    )


def _verify(content: bytes, flat: FlatModel, tolerance: float) -> float:
    from rnnkit.export._runtime import onnx_runner  # imports onnxruntime

    return verify_export(flat, onnx_runner(content, flat), tolerance, "The ONNX file")


def _quantize(exported: onnx.ModelProto) -> onnx.ModelProto:
    from rnnkit.export._int8 import quantize  # imports onnxruntime

    return quantize(exported)


def _check_path(path: str | os.PathLike[str]) -> None:
    if Path(path).suffix.lower() != ".onnx":
        raise ExportError(f"The path of an ONNX file must end in .onnx, but is {os.fspath(path)!r}")
