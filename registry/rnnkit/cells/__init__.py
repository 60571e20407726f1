"""Cells, and the stack that turns one time step into a network."""

from rnnkit.cells.cell import Cell, CellState, state_fields
from rnnkit.cells.construction import cell_arguments, output_features
from rnnkit.cells.fused import unroll_fused, unroll_layers_fused
from rnnkit.cells.gates import reorder_gates
from rnnkit.cells.initialization import chrono_, orthogonal_
from rnnkit.cells.kind_builder import cell_kind
from rnnkit.cells.stack import CellStack

__all__ = [
    "Cell",
    "CellStack",
    "CellState",
    "cell_arguments",
    "cell_kind",
    "chrono_",
    "orthogonal_",
    "output_features",
    "reorder_gates",
    "state_fields",
    "unroll_fused",
    "unroll_layers_fused",
]
