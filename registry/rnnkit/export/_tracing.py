"""Trace a model into a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch.fx import GraphModule

from rnnkit._messages import describe_exception, join_quoted
from rnnkit.cells import Cell
from rnnkit.errors import ExportError
from rnnkit.export._flat_model import FlatModel
from rnnkit.export._verification import EXAMPLE
from rnnkit.model import Backbone, RecurrentModel

if TYPE_CHECKING:
    from torch.export import ExportedProgram

Translations = Mapping[Any, Callable[..., Any]]
"""For custom operators, functions that write them in ONNX."""

_OWN = {"aten", "prim", "prims"}  # the namespaces of torch's operators
_MAX_MESSAGE = 1_000


def trace(flat: FlatModel) -> ExportedProgram:
    """Trace a model in evaluation mode with free sizes of batch and time.

    Raises:
        ExportError: the model cannot be traced.
    """
    try:
        return torch.export.export(flat, flat.random_inputs(*EXAMPLE), dynamic_shapes=_dynamic_shapes(flat))
    except Exception as error:
        raise ExportError(
            "The model cannot be traced with free sizes of batch and time. A step must not read values of tensors "
            "(`.item()`, `if` on a tensor), fix a size (`len(x)`) or store tensors in attributes; cells must not have "
            "hooks, and recurrent weights no parametrizations (torch.nn.utils.parametrize.remove_parametrizations). "
            f"torch reports: {describe_exception(error)[:_MAX_MESSAGE]}"
        ) from error


def trace_step_loop(flat: FlatModel) -> ExportedProgram:
    """Trace a model without the operators of plugins.

    Raises:
        ExportError: the model cannot be traced, or has operators of plugins still.
    """
    model = flat.model
    backbone = model.backbone.as_step_loop()
    program = trace(flat.replace(RecurrentModel(model.spec, backbone, model.readout, model.embedding)))
    if names := custom_operators(program):
        raise ExportError(
            f"The model uses operators that are not torch's own, {join_quoted(names)}, and its backbone does not "
            "define `as_step_loop`"
        )
    return program


def translations_of(model: RecurrentModel) -> Translations:
    """Return the ONNX translations that the backbone and the cells of a model define."""
    return {operator: function for part in _parts(model) for operator, function in part.onnx_translations().items()}


def operator_counts(program: ExportedProgram) -> dict[str, int]:
    """Return how often a program has each operator, those inside a scan included; most frequent first."""
    graphs = [each.graph for each in program.graph_module.modules() if isinstance(each, GraphModule)]
    targets = [node.target for graph in graphs for node in graph.nodes if node.op == "call_function"]
    operators = [each for each in targets if isinstance(each, torch._ops.OperatorBase)]  # noqa: SLF001  # no public name
    return dict(Counter(str(each) for each in operators).most_common())


def custom_operators(program: ExportedProgram) -> list[str]:
    """Return the names of the operators that are not torch's own."""
    return sorted(name for name in operator_counts(program) if "." in name and name.partition(".")[0] not in _OWN)


def _dynamic_shapes(flat: FlatModel) -> list[dict[int, Any]]:
    sizes = {name: torch.export.Dim(name, min=1) for name in ("batch", "time")}
    return [{axis: sizes[name] for axis, name in each.axes.items()} for each in flat.inputs]


def _parts(model: RecurrentModel) -> list[Backbone | Cell]:
    return [module for module in model.modules() if isinstance(module, Backbone | Cell)]
