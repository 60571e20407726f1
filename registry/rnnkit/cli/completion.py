"""What a shell offers when a kind or a distribution is being typed. Imports no plugin."""

from __future__ import annotations

from contextlib import suppress

import click

from rnnkit import RnnkitError, current_catalog


def complete_kind(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The names by which kinds can be asked for: canonical ones, and bare ones that are not ambiguous."""
    with suppress(RnnkitError):  # a strict policy and a broken plugin: a shell that completes is no place to say so
        names = {name for name in current_catalog().names() for name in _names(name)}
        return sorted(name for name in names if name.startswith(incomplete))
    return []


def complete_distribution(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """The distributions that provide kinds."""
    with suppress(RnnkitError):
        names = {each.candidate.distribution for each in current_catalog().providers()}
        return sorted(name for name in names if name.startswith(incomplete))
    return []


def _names(name: str) -> list[str]:
    bare = name.rpartition("/")[2]
    return [name, bare] if current_catalog().resolve(bare).chosen else [name]
