"""Recurrent PyTorch models from one dataclass: a plugin-based registry.

```python
model = build_model(RecurrentSpec(kind="lstm", input_size=10, hidden_size=20, output_size=5))
```

Importing rnnkit imports neither torch nor a plugin, and next to nothing else: each name is looked up on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnnkit.about.description import FieldDescription, describe_options, describe_spec
    from rnnkit.about.schema import kinds_left_out, spec_schema
    from rnnkit.about.summary import LayerSummary, ModelSummary, summarize_spec
    from rnnkit.backbone import Backbone
    from rnnkit.build import build_model
    from rnnkit.catalog import Catalog, control_plugins, current_catalog, get_kind, list_kinds, resolve_kind
    from rnnkit.cell import Cell, CellState
    from rnnkit.cell_kinds import cell_kind
    from rnnkit.checkpoint.load_save import load_model, save_model, verify_model
    from rnnkit.checkpoint.verification import Verification
    from rnnkit.checkpoint.versions import LockDifference
    from rnnkit.deprecation import Deprecation, KindAlias
    from rnnkit.discovery import Candidate
    from rnnkit.errors import (
        AmbiguousKindError,
        BlockedKindError,
        BuildError,
        CheckpointError,
        DeprecatedKindWarning,
        InputError,
        LockWarning,
        PluginError,
        ReservedKindError,
        RnnkitError,
        SpecFileError,
        StepError,
        UnknownKindError,
        UnresolvedKindError,
    )
    from rnnkit.file_problem import FileProblem
    from rnnkit.hookspecs import hookimpl
    from rnnkit.initialization import orthogonal_
    from rnnkit.kind import Builder, Kind, Paper, Problem
    from rnnkit.local import LocalKind, register_kind
    from rnnkit.model import RecurrentModel
    from rnnkit.options import Options
    from rnnkit.resolution import Provider, Resolution
    from rnnkit.spec import RecurrentSpec
    from rnnkit.spec_file.load_save import load_spec, save_spec
    from rnnkit.spec_file.overrides import override_spec
    from rnnkit.stack import CellStack
    from rnnkit.stack_options import InitOptions, StackOptions
    from rnnkit.state import detach_state, flatten_state, map_state, move_state
    from rnnkit.unresolved import UnresolvedOptions
    from rnnkit.user_hooks import RegisteredHooks, register_hooks

__version__ = "0.1.0"

__all__ = [
    "AmbiguousKindError",
    "Backbone",
    "BlockedKindError",
    "BuildError",
    "Builder",
    "Candidate",
    "Catalog",
    "Cell",
    "CellStack",
    "CellState",
    "CheckpointError",
    "DeprecatedKindWarning",
    "Deprecation",
    "FieldDescription",
    "FileProblem",
    "InitOptions",
    "InputError",
    "Kind",
    "KindAlias",
    "LayerSummary",
    "LocalKind",
    "LockDifference",
    "LockWarning",
    "ModelSummary",
    "Options",
    "Paper",
    "PluginError",
    "Problem",
    "Provider",
    "RecurrentModel",
    "RecurrentSpec",
    "RegisteredHooks",
    "ReservedKindError",
    "Resolution",
    "RnnkitError",
    "SpecFileError",
    "StackOptions",
    "StepError",
    "UnknownKindError",
    "UnresolvedKindError",
    "UnresolvedOptions",
    "Verification",
    "build_model",
    "cell_kind",
    "control_plugins",
    "current_catalog",
    "describe_options",
    "describe_spec",
    "detach_state",
    "flatten_state",
    "get_kind",
    "hookimpl",
    "kinds_left_out",
    "list_kinds",
    "load_model",
    "load_spec",
    "map_state",
    "move_state",
    "orthogonal_",
    "override_spec",
    "register_hooks",
    "register_kind",
    "resolve_kind",
    "save_model",
    "save_spec",
    "spec_schema",
    "summarize_spec",
    "verify_model",
]

# Where each name is, and so what is imported when it is first asked for.
_MODULES = {
    "about.description": ["FieldDescription", "describe_options", "describe_spec"],
    "about.schema": ["kinds_left_out", "spec_schema"],
    "about.summary": ["LayerSummary", "ModelSummary", "summarize_spec"],
    "backbone": ["Backbone"],
    "build": ["build_model"],
    "catalog": ["Catalog", "control_plugins", "current_catalog", "get_kind", "list_kinds", "resolve_kind"],
    "cell": ["Cell", "CellState"],
    "cell_kinds": ["cell_kind"],
    "checkpoint.load_save": ["load_model", "save_model", "verify_model"],
    "checkpoint.verification": ["Verification"],
    "checkpoint.versions": ["LockDifference"],
    "deprecation": ["Deprecation", "KindAlias"],
    "discovery": ["Candidate"],
    "errors": [name for name in __all__ if name.endswith(("Error", "Warning"))],
    "hookspecs": ["hookimpl"],
    "initialization": ["orthogonal_"],
    "kind": ["Builder", "Kind", "Paper", "Problem"],
    "local": ["LocalKind", "register_kind"],
    "model": ["RecurrentModel"],
    "options": ["Options"],
    "resolution": ["Provider", "Resolution"],
    "spec": ["RecurrentSpec"],
    "file_problem": ["FileProblem"],
    "spec_file.load_save": ["load_spec", "save_spec"],
    "spec_file.overrides": ["override_spec"],
    "stack": ["CellStack"],
    "stack_options": ["InitOptions", "StackOptions"],
    "state": ["detach_state", "flatten_state", "map_state", "move_state"],
    "unresolved": ["UnresolvedOptions"],
    "user_hooks": ["RegisteredHooks", "register_hooks"],
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
_NEED_TORCH = {"backbone", "build", "cell", "cell_kinds", "initialization", "model", "stack", "state", "about.summary"}
_NEED_TORCH |= {module for module in _MODULES if module.startswith("checkpoint.")}

# Hidden from type checkers, which would otherwise take any misspelt name for a name of this module.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _MODULE_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = _MODULE_OF[name]
        if module in _NEED_TORCH:
            import_module("rnnkit.catalog").current_catalog().make_way_for_torch()
        value = globals()[name] = getattr(import_module(f"rnnkit.{module}"), name)
        return value

    def __dir__() -> list[str]:
        return sorted(set(globals()) | set(__all__))
