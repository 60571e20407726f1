"""Shell completion of kinds and distributions. Imports no plugin."""

from __future__ import annotations

from contextlib import suppress

import click

from rnnkit import RnnkitError, current_catalog
from rnnkit.catalog import candidates_by_distribution


def complete_kind(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the canonical names of kinds, and the bare names that are not ambiguous."""
    with suppress(RnnkitError):  # under the strict policy a broken plugin raises: not useful during completion
        names = {name for name in current_catalog().names() for name in _names(name)}
        return sorted(name for name in names if name.startswith(incomplete))
    return []


def complete_distribution(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the distributions that provide something."""
    return [name for name in candidates_by_distribution() if name.startswith(incomplete)]


def _names(name: str) -> list[str]:
    bare = name.rpartition("/")[2]
    return [name, bare] if current_catalog().resolve(bare).chosen else [name]
