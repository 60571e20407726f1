"""Translate a traced model to ONNX."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import torch

from rnnkit._messages import describe_exception
from rnnkit._version import __version__
from rnnkit.errors import ExportError
from rnnkit.export._flat_model import FlatModel
from rnnkit.export._tracing import Translations, custom_operators, trace, trace_step_loop, translations_of
from rnnkit.files import ONNX_KEY, OnnxMetadata, OnnxTensor
from rnnkit.files.spec import FORMAT_VERSION, plugin_fields

if TYPE_CHECKING:
    import onnx
    from torch.export import ExportedProgram
    from torch.onnx import ONNXProgram

    from rnnkit.specs import RecurrentSpec

OPSET = 18
"""The version of the operators that torch writes; it can convert to later ones."""

_MAX_MESSAGE = 1_000


def onnx_model(flat: FlatModel, *, native: bool, opset: int) -> onnx.ModelProto:
    """Return a model in ONNX, without traces of the code that it comes from.

    Raises:
        ExportError: the model cannot be traced or translated.
    """
    from rnnkit.export._tidy import tidy

    translated = _translate(*_program(flat, native=native), flat, opset)
    tidy(translated.model, flat)
    translated.model.producer_name, translated.model.producer_version = "rnnkit", __version__
    _check_written_opset(translated, opset)
    return translated.model_proto


def _program(flat: FlatModel, *, native: bool) -> tuple[ExportedProgram, Translations]:
    """Return a program, and translations of all custom operators in it."""
    translations = translations_of(flat.model)
    if native:
        program = trace(flat)
        if {*custom_operators(program)} <= {*map(str, translations)}:
            return program, translations
    return trace_step_loop(flat), {}


def add_metadata(model: onnx.ModelProto, spec: RecurrentSpec[Any]) -> onnx.ModelProto:
    """Add the spec, the versions, and the inputs and outputs to a model."""
    import onnx
    import onnxscript

    versions = {"rnnkit": __version__, "torch": torch.__version__, "onnxscript": onnxscript.__version__}
    metadata = OnnxMetadata(
        spec={"format_version": FORMAT_VERSION, **plugin_fields(spec), **spec.to_dict()},
        versions=versions,
        inputs=_tensors(model.graph.input),
        outputs=_tensors(model.graph.output),
    )
    onnx.helper.set_model_props(model, {ONNX_KEY: metadata.dump()})
    return model


def _tensors(values: Iterable[onnx.ValueInfoProto]) -> tuple[OnnxTensor, ...]:
    from onnx.helper import tensor_dtype_to_np_dtype

    return tuple(
        OnnxTensor(
            each.name,
            tensor_dtype_to_np_dtype(each.type.tensor_type.elem_type).name,
            tuple(size.dim_param or size.dim_value for size in each.type.tensor_type.shape.dim),
        )
        for each in values
    )


def serialize(model: onnx.ModelProto) -> bytes:
    """Return the content of a file.

    Raises:
        ExportError: the model has more than 2 GB, the limit of protobuf.
    """
    from google.protobuf.message import EncodeError

    try:
        content: bytes = model.SerializeToString()
    except (EncodeError, ValueError) as error:
        raise ExportError(f"The model does not fit into one ONNX file, which has at most 2 GB: {error}") from error
    return content


def operator_counts(model: onnx.ModelProto) -> dict[str, int]:
    """Return how often a model has each operator, those of subgraphs included; most frequent first."""
    return dict(Counter(_operators(model.graph)).most_common())


def _operators(graph: onnx.GraphProto) -> Iterator[str]:
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            yield from _operators(attribute.g)


def _translate(program: ExportedProgram, translations: Translations, flat: FlatModel, opset: int) -> ONNXProgram:
    from rnnkit.export._onnx_exact import TRANSLATIONS  # imports onnxscript

    try:
        translated = torch.onnx.export(
            program,
            dynamo=True,
            custom_translation_table={**TRANSLATIONS, **translations},
            input_names=[each.name for each in flat.inputs],
            output_names=list(flat.outputs),
            opset_version=opset,
            verbose=False,
        )
    except Exception as error:
        cause = describe_exception(_root_cause(error))[:_MAX_MESSAGE]
        raise ExportError(f"torch cannot translate the model to ONNX: {cause}") from error
    if translated is None:  # only if it has written a file
        raise ExportError("torch.onnx.export returned no model")
    return translated


def _root_cause(error: BaseException) -> BaseException:
    return error if error.__cause__ is None else _root_cause(error.__cause__)


def check_opset(opset: int) -> None:
    """Raise `ExportError` if torch cannot write a version of the operators."""
    if opset < OPSET:
        raise ExportError(f"opset must be at least {OPSET}, but is {opset}")


def _check_written_opset(translated: ONNXProgram, opset: int) -> None:
    written = translated.model.opset_imports[""]
    if written != opset:
        raise ExportError(f"torch {torch.__version__} cannot write opset {opset} of this model, but {written}")
