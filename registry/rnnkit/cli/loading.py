"""Loads a plugin for a screen, on which it stands with what is wrong with it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rnnkit import BlockedKindError, PluginError, Provider, current_catalog

if TYPE_CHECKING:
    from rnnkit import Kind


def load(provider: Provider) -> tuple[Provider, Kind | None]:
    """What is known of a candidate once its plugin has been loaded, and its kind; None: it is blocked or broken."""
    candidate, kind = provider.candidate, None
    with suppress(PluginError, BlockedKindError):
        kind = current_catalog().get(candidate.name)
    now = next(each for each in current_catalog().providers(candidate.kind) if each.candidate.name == candidate.name)
    return now, kind
