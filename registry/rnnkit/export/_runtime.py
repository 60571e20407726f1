"""Run an ONNX model in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence

import onnxruntime
import torch
from torch import Tensor

from rnnkit._messages import describe_exception
from rnnkit.errors import ExportError
from rnnkit.export._flat_model import FlatModel
from rnnkit.export._verification import Run


def onnx_runner(content: bytes, flat: FlatModel) -> Run:
    """Return a function that computes the outputs of a model from its inputs.

    Raises:
        ExportError: ONNX Runtime cannot load the model, or the function cannot run it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # fatal: errors are raised as well
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise _error("load", flat, error) from error

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        feed = {each.name: tensor.cpu().numpy() for each, tensor in zip(flat.inputs, inputs, strict=True)}
        try:
            outputs = session.run(list(flat.outputs), feed)
        except Exception as error:
            raise _error("run", flat, error) from error
        return [torch.from_numpy(output) for output in outputs]

    return run


def _error(verb: str, flat: FlatModel, error: Exception) -> ExportError:
    dtype, hint = flat.model.dtype, ""
    if dtype != torch.float32:
        hint = f", or export model.float(): the model is {dtype}, for which ONNX Runtime has few operators"
    return ExportError(
        f"ONNX Runtime {onnxruntime.__version__} cannot {verb} the exported model, and nothing was written. Export it "
        f"with verify=False if another runtime can{hint}. {describe_exception(error)}"
    )
