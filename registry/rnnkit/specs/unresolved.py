"""The options of a kind that cannot be had here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import field_validator, model_serializer

from rnnkit.catalog import LOCAL, canonical, current_catalog, is_distribution, is_name, normalized
from rnnkit.errors import AmbiguousKindError, BlockedKindError, PluginError, UnknownKindError, UnresolvedKindError
from rnnkit.options import Options
from rnnkit.specs.plain_data import find_problems
from rnnkit.specs.provenance import DistributionPin


class UnresolvedOptions(Options):
    """Options as they were given, of a kind that cannot be had here, so that nobody knows which ones it has.

    Equal to others with the same values, in any order and whoever provides the kind.

    Attributes:
        text: the values as a JSON object.
        plugin: who provides the kind, as pip would install it: `rnnkit-mgu==0.1.0`; None: nobody has said.
    """

    text: str = "{}"
    plugin: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any], *, plugin: str | None = None) -> Self:
        """Options that hold plain data.

        Raises:
            ValueError: a value is no plain data: text, finite numbers, booleans, None, lists and mappings.
        """
        for path, message, _ in find_problems({"options": values}):
            raise ValueError(f"{'.'.join(path)}: {message}" if path else message)
        return cls(text=json.dumps(values, default=dict), plugin=plugin)  # default: for mappings that are none

    @field_validator("text")
    @classmethod
    def _is_an_object(cls, text: str) -> str:
        if not isinstance(json.loads(text), dict):
            raise ValueError("Input should be a JSON object")  # noqa: TRY004  # pydantic makes a line of a ValueError alone
        return text

    @field_validator("plugin")
    @classmethod
    def _can_be_installed(cls, plugin: str | None) -> str | None:
        return None if plugin is None else str(DistributionPin.parse(plugin))

    @model_serializer
    def _plain(self) -> dict[str, Any]:
        return self.values

    @property
    def values(self) -> dict[str, Any]:
        """The options as they were given, in their order; a new dictionary each time."""
        values: dict[str, Any] = json.loads(self.text)
        return values

    def provided_by(self, plugin: str | None) -> Self:
        """The same options with another word on who provides their kind."""
        return dataclasses.replace(self, plugin=plugin)

    def __eq__(self, other: object) -> bool:
        return self._sorted == other._sorted if isinstance(other, UnresolvedOptions) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._sorted)

    def __repr__(self) -> str:
        return f"UnresolvedOptions.of({self.values!r}, plugin={self.plugin!r})"

    @property
    def _sorted(self) -> str:
        return json.dumps(self.values, sort_keys=True)


def name_elsewhere(name: str) -> str | None:
    """The canonical name that a kind has wherever it is installed; None: no kind can have such a name.

    That of a third party's bare name is known only there: it stays as it is.
    """
    distribution, slash, kind = name.rpartition("/")
    if not is_name(kind) or (slash and not is_distribution(normalized(distribution))):
        return None
    return canonical(normalized(distribution), kind) if slash else name


def provider_elsewhere(kind: str, plugin: str | None) -> DistributionPin | None:
    """The distribution that provides a kind: the one that somebody noted down, unless the kind's name has another.

    Args:
        kind: the name of the kind.
        plugin: as it was noted down, `rnnkit-mgu==0.1.0`; None: it was not.
    """
    distribution = normalized(kind.rpartition("/")[0])
    noted = None if plugin is None else DistributionPin.parse(plugin)
    if noted is not None and distribution in {"", noted.distribution}:
        return noted
    return DistributionPin(distribution, None) if distribution not in {"", LOCAL} else None


def install_hint(provider: DistributionPin, kind: str) -> str:
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


def unresolved_kind_error(kind: str, plugin: str | None) -> UnresolvedKindError:
    """The error of who builds a spec whose kind could not be had when it was made, with what is in the way as cause."""
    try:
        current_catalog().get(kind)
    except UnknownKindError as error:
        provider = provider_elsewhere(kind, plugin)
        return UnresolvedKindError(str(error) if provider is None else install_hint(provider, kind))
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
