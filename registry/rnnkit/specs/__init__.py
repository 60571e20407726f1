"""`RecurrentSpec`, the configuration of a model, also where the plugin of its kind is not installed."""

from rnnkit.specs.plain_data import (
    MAX_DEPTH,
    MAX_VALUES,
    DataProblem,
    DuplicateKeyError,
    Path,
    find_problems,
    size_problem,
    unique_keys,
    walk,
)
from rnnkit.specs.provenance import DistributionPin, plugin_of, readout_plugin_of
from rnnkit.specs.recurrent_spec import RecurrentSpec, spec_of_fields
from rnnkit.specs.unresolved import (
    UnresolvedOptions,
    UnresolvedReadout,
    install_hint,
    provider_elsewhere,
    unresolved_error,
)

__all__ = [
    "MAX_DEPTH",
    "MAX_VALUES",
    "DataProblem",
    "DistributionPin",
    "DuplicateKeyError",
    "Path",
    "RecurrentSpec",
    "UnresolvedOptions",
    "UnresolvedReadout",
    "find_problems",
    "install_hint",
    "plugin_of",
    "provider_elsewhere",
    "readout_plugin_of",
    "size_problem",
    "spec_of_fields",
    "unique_keys",
    "unresolved_error",
    "walk",
]
