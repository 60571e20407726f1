"""Recurrent PyTorch models from one dataclass: a plugin-based registry.

```python
model = build_model(RecurrentSpec(kind="lstm", input_size=10, hidden_size=20, output_size=5))
```

Importing rnnkit imports neither torch nor any plugin: each name is imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rnnkit import _display
from rnnkit._version import __version__ as __version__

if TYPE_CHECKING:
    from rnnkit.build import build_model
    from rnnkit.catalog import (
        Candidate,
        Catalog,
        Provider,
        Resolution,
        current_catalog,
        get_kind,
        get_readout,
        list_executors,
        list_kinds,
        list_readouts,
        resolve_kind,
        set_plugin_policy,
    )
    from rnnkit.catalog.registration import (
        LocalExecutor,
        LocalKind,
        LocalReadout,
        RegisteredHooks,
        register_executor,
        register_hooks,
        register_kind,
        register_readout,
    )
    from rnnkit.cells import Cell, CellStack, CellState, cell_kind, chrono_, orthogonal_, reorder_gates
    from rnnkit.cells.causal_convolution import CausalConv
    from rnnkit.cells.complex_linear_cell import ComplexLinearCell, ComplexState
    from rnnkit.cells.constraint import constrain_
    from rnnkit.cells.convolved_linear_cell import ConvolvedLinearCell, ConvolvedState
    from rnnkit.cells.gated_cell import GatedCell
    from rnnkit.cells.linear_cell import LinearCell
    from rnnkit.cells.linear_scan import scan
    from rnnkit.cells.matrix_cell import MatrixCell, MatrixState
    from rnnkit.cells.matrix_scan import matrix_scan
    from rnnkit.cells.operator_graph import OperatorGraph
    from rnnkit.deprecation import Deprecation, KindAlias
    from rnnkit.errors import (
        AmbiguousKindError,
        BlockedKindError,
        BuildError,
        CheckpointError,
        CompareError,
        DeprecatedKindWarning,
        ExportError,
        InputError,
        LockWarning,
        PluginError,
        ReservedKindError,
        RnnkitError,
        SpecFileError,
        StepError,
        UnknownKindError,
        UnresolvedKindError,
        WeightWarning,
    )
    from rnnkit.export import ExportReport, export_onnx, export_program
    from rnnkit.files import FileProblem
    from rnnkit.files.checkpoint.checkpoint_file import (
        LockDifference,
        Verification,
        load_model,
        save_model,
        verify_model,
    )
    from rnnkit.files.spec import load_spec, override_spec, save_spec
    from rnnkit.hookspecs import hookimpl
    from rnnkit.introspection import FieldDescription, describe_options, describe_spec, kinds_left_out, spec_schema
    from rnnkit.introspection.model_summary import LayerSummary, ModelSummary, summarize_spec
    from rnnkit.kind import Builder, Kind, Paper, Problem
    from rnnkit.model import (
        Backbone,
        Readout,
        RecurrentModel,
        RestartSegments,
        StepModule,
        detach_state,
        flatten_state,
        map_state,
        move_state,
    )
    from rnnkit.model.fit_readout import fit_readout
    from rnnkit.options import ForgetBiasOptions, InitOptions, Options, PerLayer, StackOptions
    from rnnkit.specs import RecurrentSpec, UnresolvedOptions

__all__ = [
    "AmbiguousKindError",
    "Backbone",
    "BlockedKindError",
    "BuildError",
    "Builder",
    "Candidate",
    "Catalog",
    "CausalConv",
    "Cell",
    "CellStack",
    "CellState",
    "CheckpointError",
    "CompareError",
    "ComplexLinearCell",
    "ComplexState",
    "ConvolvedLinearCell",
    "ConvolvedState",
    "DeprecatedKindWarning",
    "Deprecation",
    "ExportError",
    "ExportReport",
    "FieldDescription",
    "FileProblem",
    "ForgetBiasOptions",
    "GatedCell",
    "InitOptions",
    "InputError",
    "Kind",
    "KindAlias",
    "LayerSummary",
    "LinearCell",
    "LocalExecutor",
    "LocalKind",
    "LocalReadout",
    "LockDifference",
    "LockWarning",
    "MatrixCell",
    "MatrixState",
    "ModelSummary",
    "OperatorGraph",
    "Options",
    "Paper",
    "PerLayer",
    "PluginError",
    "Problem",
    "Provider",
    "Readout",
    "RecurrentModel",
    "RecurrentSpec",
    "RegisteredHooks",
    "ReservedKindError",
    "Resolution",
    "RestartSegments",
    "RnnkitError",
    "SpecFileError",
    "StackOptions",
    "StepError",
    "StepModule",
    "UnknownKindError",
    "UnresolvedKindError",
    "UnresolvedOptions",
    "Verification",
    "WeightWarning",
    "build_model",
    "cell_kind",
    "chrono_",
    "constrain_",
    "current_catalog",
    "describe_options",
    "describe_spec",
    "detach_state",
    "export_onnx",
    "export_program",
    "fit_readout",
    "flatten_state",
    "get_kind",
    "get_readout",
    "hookimpl",
    "kinds_left_out",
    "list_executors",
    "list_kinds",
    "list_readouts",
    "load_model",
    "load_spec",
    "map_state",
    "matrix_scan",
    "move_state",
    "orthogonal_",
    "override_spec",
    "register_executor",
    "register_hooks",
    "register_kind",
    "register_readout",
    "reorder_gates",
    "resolve_kind",
    "save_model",
    "save_spec",
    "scan",
    "set_plugin_policy",
    "spec_schema",
    "summarize_spec",
    "verify_model",
]

# The room of each name: imported when the name is first used.
_ROOMS = {
    "build": ["build_model"],
    "catalog": [
        "Candidate",
        "Catalog",
        "Provider",
        "Resolution",
        "set_plugin_policy",
        "current_catalog",
        "get_kind",
        "get_readout",
        "list_executors",
        "list_kinds",
        "list_readouts",
        "resolve_kind",
    ],
    "catalog.registration": [
        "LocalExecutor",
        "LocalKind",
        "LocalReadout",
        "RegisteredHooks",
        "register_executor",
        "register_hooks",
        "register_kind",
        "register_readout",
    ],
    "cells": ["Cell", "CellStack", "CellState", "cell_kind", "chrono_", "orthogonal_", "reorder_gates"],
    "cells.causal_convolution": ["CausalConv"],
    "cells.complex_linear_cell": ["ComplexLinearCell", "ComplexState"],
    "cells.constraint": ["constrain_"],
    "cells.convolved_linear_cell": ["ConvolvedLinearCell", "ConvolvedState"],
    "cells.gated_cell": ["GatedCell"],
    "cells.linear_cell": ["LinearCell"],
    "cells.linear_scan": ["scan"],
    "cells.matrix_cell": ["MatrixCell", "MatrixState"],
    "cells.matrix_scan": ["matrix_scan"],
    "cells.operator_graph": ["OperatorGraph"],
    "deprecation": ["Deprecation", "KindAlias"],
    "errors": [name for name in __all__ if name.endswith(("Error", "Warning"))],
    "export": ["ExportReport", "export_onnx", "export_program"],
    "files": ["FileProblem"],
    "files.checkpoint.checkpoint_file": ["LockDifference", "Verification", "load_model", "save_model", "verify_model"],
    "files.spec": ["load_spec", "override_spec", "save_spec"],
    "hookspecs": ["hookimpl"],
    "introspection": ["FieldDescription", "describe_options", "describe_spec", "kinds_left_out", "spec_schema"],
    "introspection.model_summary": ["LayerSummary", "ModelSummary", "summarize_spec"],
    "kind": ["Builder", "Kind", "Paper", "Problem"],
    "model": [
        "Backbone",
        "Readout",
        "RecurrentModel",
        "RestartSegments",
        "StepModule",
        "detach_state",
        "flatten_state",
        "map_state",
        "move_state",
    ],
    "model.fit_readout": ["fit_readout"],
    "options": ["ForgetBiasOptions", "InitOptions", "Options", "PerLayer", "StackOptions"],
    "specs": ["RecurrentSpec", "UnresolvedOptions"],
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

_display.render_html = lambda value: import_module("rnnkit.introspection.notebook").html_of(value)

# Hidden from type checkers, which would otherwise take any misspelled name for a name of this module.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _ROOM_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        try:
            value = globals()[name] = getattr(import_module(f"rnnkit.{_ROOM_OF[name]}"), name)
        except Exception as error:
            error.add_note("The installation may be broken: run `rnnkit doctor`.")
            raise
        return value

    def __dir__() -> list[str]:
        return sorted(set(globals()) | set(__all__))
