"""`RecurrentSpec`, the configuration of a model, also where the plugin of its kind is not installed."""

from rnnkit.specs.plain_data import DEEPEST, MOST_VALUES, Path, excess, obstacles
from rnnkit.specs.provenance import DistributionPin, plugin_of
from rnnkit.specs.recurrent_spec import RecurrentSpec
from rnnkit.specs.unresolved import (
    UnresolvedOptions,
    UnresolvedReadout,
    install_hint,
    provider_elsewhere,
    unresolved_kind_error,
    unresolved_readout_error,
)

__all__ = [
    "DEEPEST",
    "MOST_VALUES",
    "DistributionPin",
    "Path",
    "RecurrentSpec",
    "UnresolvedOptions",
    "UnresolvedReadout",
    "excess",
    "install_hint",
    "obstacles",
    "plugin_of",
    "provider_elsewhere",
    "unresolved_kind_error",
    "unresolved_readout_error",
]
