"""Loads kinds for display, with their errors, and creates example specs of them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rnnkit import BlockedKindError, PluginError, Provider, current_catalog

if TYPE_CHECKING:
    from rnnkit import RecurrentSpec

SIZES = {"input_size": 64, "hidden_size": 128}


def load_provider(provider: Provider) -> tuple[Provider, Any]:
    """Load the plugin of a provider, and return its new status, and its record, None if it is not usable."""
    candidate, record = provider.candidate, None
    if provider.status == "hidden":
        return provider, None
    index = current_catalog().indexes[candidate.category.noun]
    with suppress(PluginError, BlockedKindError):
        record = index.get(candidate.name)
    providers = index.providers(candidate.bare_name)
    return next(each for each in providers if each.candidate.name == candidate.name), record


def example_spec(kind: str) -> RecurrentSpec[Any]:
    """Return the spec of a kind with common sizes and its defaults otherwise.

    Raises:
        UnknownKindError, BlockedKindError, AmbiguousKindError: the name does not resolve to a kind.
        PluginError: its plugin is broken, or rejects its own defaults.
    """
    from pydantic import ValidationError

    from rnnkit import RecurrentSpec
    from rnnkit.files import listing, problem_lines

    current_catalog().get(kind)  # first, so that the errors of the kind itself are not reported as those of a field
    try:
        return RecurrentSpec.from_dict({"kind": kind, **SIZES})
    except ValidationError as error:
        problems = listing(problem_lines(error))
        raise PluginError(f"The kind {kind!r} rejects its own defaults:{problems}") from error
