"""Remove from an ONNX model everything that its users do not need."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir
from onnx_ir.passes import common
from onnxscript import optimizer

from rnnkit.export._flat_model import FlatModel

_NO_LIMIT = 2**62


def tidy(model: ir.Model, flat: FlatModel) -> None:
    """Fold constants, remove stack traces and unused parts, and name the axes of free size."""
    _fold_weights(model)
    _name_axes(model, flat)
    for each in (
        common.CommonSubexpressionEliminationPass(),
        common.DeduplicateInitializersPass(),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
        common.ClearMetadataAndDocStringPass(),
    ):
        each(model)


def _fold_weights(model: ir.Model) -> None:
    # A translation arranges weights by operators, such as `Gather` for the order of the gates. Their results become
    # initializers, without the limits that the optimizer has for sizes.
    optimizer.fold_constants(model, onnx_shape_inference=False, input_size_limit=_NO_LIMIT, output_size_limit=_NO_LIMIT)


def _name_axes(model: ir.Model, flat: FlatModel) -> None:
    """Replace torch's names of free sizes, such as `s77`, by `batch` and `time`."""
    names = {
        str(value.shape[axis]): name
        for value, each in zip(model.graph.inputs, flat.inputs, strict=True)
        if value.shape is not None
        for axis, name in each.axes.items()
    }
    for value in _values(model.graph):
        if value.shape is not None:
            value.shape = ir.Shape([names.get(str(size), size) for size in value.shape])


def _values(graph: ir.Graph) -> Iterator[ir.Value]:
    yield from graph.inputs
    for node in graph.all_nodes():
        yield from node.outputs
        for attribute in node.attributes.values():
            if attribute.type == ir.AttributeType.GRAPH:
                yield from attribute.as_graph().inputs
