"""Exported models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from rnnkit import RecurrentModel
from rnnkit._messages import join_names
from rnnkit.export import ExportReport, export_onnx, export_program, missing_packages
from rnnkit.testing._check import check
from rnnkit.testing._comparison import leaves
from rnnkit.testing._context import CheckContext, random_state
from rnnkit.testing._traced_cases import small, traced_cases
from rnnkit.testing._tracing import arguments_of, explain_failure, sizes_of

_ONNX_TOLERANCE: dict[str, Any] = {"relative": 1e-4, "absolute": 1e-5}  # float32
_RECURRENT = ("RNN", "GRU", "LSTM", "Scan")  # operators of ONNX


@check("systems")
@torch.no_grad()
def exports_with_free_sizes(context: CheckContext) -> None:
    """`rnnkit.export_program`, with lengths and states, gives a program that equals the model at other sizes.

    A step reads the value of a tensor, as by `.item()` or `if`, stores a tensor in an attribute, changes one in place,
    or has a size that becomes a number.
    """
    for case in traced_cases(context, small(context.kind)):
        model = case.model()
        with explain_failure("torch.export", model):
            program = export_program(model, lengths=True, state=True).module()
        for batch, time in [(1, 1), *sizes_of(model)]:
            x, state, lengths = arguments_of(case, model, batch, time)
            expected = leaves(model(x, state, lengths, return_state=True))
            actual = list(program(x, lengths, *leaves(state)))
            context.assert_close(
                actual, expected, f"exported, with {batch} sequences of {time} steps, output and state"
            )


@check("systems")
@torch.no_grad()
def onnx_file_equals_model(context: CheckContext) -> None:
    """ONNX Runtime runs the file of `rnnkit.export_onnx`, with lengths and states, and the outputs equal the model's.

    ONNX has no such operator or dtype, or a translation in `onnx_translations` is wrong.
    """
    _require_onnx(context)
    operators: dict[str, None] = {}
    for case in traced_cases(context, small(context.kind), new_operators=True):
        model = case.model(dtype=torch.float32)
        with _onnx_file(model, lengths=True, state=True) as (report, run):
            for batch, time in [(1, 1), *sizes_of(model)]:
                x, state, lengths = arguments_of(case, model, batch, time)
                expected = leaves(model(x, state, lengths, return_state=True))
                actual = run([x, lengths, *leaves(state)])
                what = f"in ONNX Runtime, with {batch} sequences of {time} steps, output and state"
                context.assert_close(actual, expected, what, **_ONNX_TOLERANCE)
        operators |= dict.fromkeys(name for name in report.operators if name in _RECURRENT)
    context.figures["operators"] = " ".join(operators) or "others"


@check("systems")
@torch.no_grad()
def onnx_steps_equal_forward(context: CheckContext) -> None:
    """Running a sequence with the file of `export_onnx(step=True)`, step by step, equals running the model at once.

    A value that is carried from step to step is not part of the state, or a step reads the value of a tensor, changes
    one in place, or fixes the batch size.
    """
    _require_onnx(context)
    for case in traced_cases(context, small(context.kind, bidirectional=False), new_operators=True, readout="all"):
        model = case.model(dtype=torch.float32)
        x, state = case.input(dtype=torch.float32), random_state(model)
        expected = leaves(model(x, state, return_state=True))
        with _onnx_file(model, step=True) as (_, run):
            outputs, parts = [], leaves(state)
            for x_t in x.unbind(case.time_axis):
                y_t, *parts = run([x_t, *parts])
                outputs.append(y_t)
        stepped = [torch.stack(outputs, dim=case.time_axis), *parts]
        context.assert_close(stepped, expected, "of steps in ONNX Runtime, output and state", **_ONNX_TOLERANCE)


def _require_onnx(context: CheckContext) -> None:
    missing = missing_packages("onnx", "onnxscript", "onnxruntime")
    are = "is" if len(missing) == 1 else "are"
    context.skip_unless(not missing, f'{join_names(missing)} {are} not installed: run `pip install "rnnkit[onnx]"`')


@contextmanager
def _onnx_file(
    model: RecurrentModel, **inputs: bool
) -> Iterator[tuple[ExportReport, Callable[[Sequence[Tensor]], list[Tensor]]]]:
    """Export a model, and return a function that runs the file."""
    from onnxruntime import InferenceSession

    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        with explain_failure("rnnkit.export_onnx", model):
            report = export_onnx(model, path, **inputs)
        session = InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])

        def run(tensors: Sequence[Tensor]) -> list[Tensor]:
            feed = {name: tensor.numpy() for name, tensor in zip(report.inputs, tensors, strict=True)}
            return [torch.from_numpy(each) for each in session.run(list(report.outputs), feed)]

        yield report, run
