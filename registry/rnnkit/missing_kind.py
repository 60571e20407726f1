"""What to do about a kind that cannot be had here."""

from __future__ import annotations

from rnnkit.catalog import current_catalog
from rnnkit.discovery import LOCAL, canonical, is_distribution, is_name, normalised
from rnnkit.errors import AmbiguousKindError, BlockedKindError, PluginError, UnknownKindError, UnresolvedKindError
from rnnkit.lock import Plugin


def name_elsewhere(name: str) -> str | None:
    """The canonical name that a kind has wherever it is installed; None: no kind can have such a name.

    That of a third party's bare name is known only there: it stays as it is.
    """
    distribution, slash, kind = name.rpartition("/")
    if not is_name(kind) or (slash and not is_distribution(normalised(distribution))):
        return None
    return canonical(normalised(distribution), kind) if slash else name


def provider_elsewhere(kind: str, plugin: str | None) -> Plugin | None:
    """The distribution that provides a kind: the one that somebody noted down, unless the kind's name has another.

    Args:
        kind: the name of the kind.
        plugin: as it was noted down, `rnnkit-mgu==0.1.0`; None: it was not.
    """
    distribution = normalised(kind.rpartition("/")[0])
    noted = None if plugin is None else Plugin.parse(plugin)
    if noted is not None and distribution in {"", noted.distribution}:
        return noted
    return Plugin(distribution, None) if distribution not in {"", LOCAL} else None


def how_to_get(provider: Plugin, kind: str) -> str:
    """Which command installs a kind that is not installed, and why it is not."""
    version = _installed_version(provider.distribution)
    but = (
        "which is not installed here"
        if version is None
        else f"but the {provider.distribution} {version} that is installed here has no such kind"
    )
    return (
        f"The kind {kind!r} is provided by {provider.distribution} {provider.version or ''}".rstrip()
        + f", {but}: run {provider.installation} and load the spec again"
    )


def refuse_to_build(kind: str, plugin: str | None) -> UnresolvedKindError:
    """The error of who builds a spec whose kind could not be had when it was made, with what is in the way as cause."""
    try:
        current_catalog().get(kind)
    except UnknownKindError as error:
        provider = provider_elsewhere(kind, plugin)
        return UnresolvedKindError(str(error) if provider is None else how_to_get(provider, kind))
    except (AmbiguousKindError, BlockedKindError, PluginError) as error:
        refusal = UnresolvedKindError(f"The kind {kind!r} cannot be had here. {error}")
        refusal.__cause__ = error
        return refusal
    return UnresolvedKindError(
        f"The kind {kind!r} could not be had when this spec was made, but can by now: make the spec anew with "
        "dataclasses.replace(spec), or load it again"
    )


def _installed_version(distribution: str) -> str | None:
    candidates = (each.candidate for each in current_catalog().providers())
    return next((each.version for each in candidates if each.distribution == distribution), None)
