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

if TYPE_CHECKING:
    from rnnkit.backbone import Backbone
    from rnnkit.build import build_model
    from rnnkit.model import RecurrentModel

__version__ = "0.1.0"

__all__ = [
    "AmbiguousKindError",
    "Backbone",
    "BlockedKindError",
    "BuildError",
    "Builder",
    "Candidate",
    "Catalog",
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
    "StepError",
    "UnknownKindError",
    "build_model",
    "control_plugins",
    "current_catalog",
    "get_kind",
    "hookimpl",
    "list_kinds",
    "register_kind",
    "resolve_kind",
]

_NEED_TORCH = {"Backbone": "rnnkit.backbone", "RecurrentModel": "rnnkit.model", "build_model": "rnnkit.build"}

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
