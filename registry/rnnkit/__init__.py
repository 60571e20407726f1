"""Recurrent PyTorch models from one dataclass: a plugin-based registry.

```python
model = build_model(RecurrentSpec(kind="lstm", input_size=10, hidden_size=20, output_size=5))
```

Importing rnnkit imports neither torch nor a plugin: names that need torch are looked up on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rnnkit.catalog import Catalog, control_plugins, current_catalog, get_kind, list_kinds, resolve_kind
from rnnkit.discovery import Candidate
from rnnkit.errors import (
    AmbiguousKindError,
    BlockedKindError,
    BuildError,
    InputError,
    PluginError,
    ReservedKindError,
    RnnkitError,
    StepError,
    UnknownKindError,
)
from rnnkit.hookspecs import hookimpl
from rnnkit.kind import Builder, Kind, Paper, Problem
from rnnkit.local import LocalKind, register_kind
from rnnkit.options import Options
from rnnkit.resolution import Provider, Resolution
from rnnkit.spec import RecurrentSpec
from rnnkit.stack_options import InitOptions, StackOptions

if TYPE_CHECKING:
    from rnnkit.backbone import Backbone
    from rnnkit.build import build_model
    from rnnkit.cell import Cell, CellState
    from rnnkit.cell_kinds import cell_kind
    from rnnkit.initialization import orthogonal_
    from rnnkit.model import RecurrentModel
    from rnnkit.stack import CellStack
    from rnnkit.state import detach_state, flatten_state, map_state, move_state

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
    "InitOptions",
    "InputError",
    "Kind",
    "LocalKind",
    "Options",
    "Paper",
    "PluginError",
    "Problem",
    "Provider",
    "RecurrentModel",
    "RecurrentSpec",
    "ReservedKindError",
    "Resolution",
    "RnnkitError",
    "StackOptions",
    "StepError",
    "UnknownKindError",
    "build_model",
    "cell_kind",
    "control_plugins",
    "current_catalog",
    "detach_state",
    "flatten_state",
    "get_kind",
    "hookimpl",
    "list_kinds",
    "map_state",
    "move_state",
    "orthogonal_",
    "register_kind",
    "resolve_kind",
]

_NEED_TORCH = {
    "Backbone": "rnnkit.backbone",
    "Cell": "rnnkit.cell",
    "CellStack": "rnnkit.stack",
    "CellState": "rnnkit.cell",
    "RecurrentModel": "rnnkit.model",
    "build_model": "rnnkit.build",
    "cell_kind": "rnnkit.cell_kinds",
    "detach_state": "rnnkit.state",
    "flatten_state": "rnnkit.state",
    "map_state": "rnnkit.state",
    "move_state": "rnnkit.state",
    "orthogonal_": "rnnkit.initialization",
}

# Hidden from type checkers, which would otherwise take any misspelt name for a name of this module.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name not in _NEED_TORCH:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        current_catalog().make_way_for_torch()
        value = globals()[name] = getattr(import_module(_NEED_TORCH[name]), name)
        return value

    def __dir__() -> list[str]:
        return sorted(set(globals()) | set(__all__))
