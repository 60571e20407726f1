"""Discovers the installed kinds, resolves names to them, and loads the one plugin that is needed."""

from rnnkit.catalog.catalog import (
    Catalog,
    current_catalog,
    get_kind,
    get_readout,
    list_executors,
    list_kinds,
    list_readouts,
    list_tasks,
    resolve_kind,
    set_plugin_policy,
    use_catalog,
)
from rnnkit.catalog.discovery import (
    LOCAL,
    OWN,
    UNKNOWN,
    Candidate,
    candidates_by_distribution,
    canonical,
    is_distribution,
    is_name,
    normalized,
)
from rnnkit.catalog.index import Index
from rnnkit.catalog.policy import STRICT, Policy
from rnnkit.catalog.resolution import Provider, Resolution

__all__ = [
    "LOCAL",
    "OWN",
    "STRICT",
    "UNKNOWN",
    "Candidate",
    "Catalog",
    "Index",
    "Policy",
    "Provider",
    "Resolution",
    "candidates_by_distribution",
    "canonical",
    "current_catalog",
    "get_kind",
    "get_readout",
    "is_distribution",
    "is_name",
    "list_executors",
    "list_kinds",
    "list_readouts",
    "list_tasks",
    "normalized",
    "resolve_kind",
    "set_plugin_policy",
    "use_catalog",
]
