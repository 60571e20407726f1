"""Options and readouts of plugins that are not installed, and what to say about them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import field_validator, model_serializer

from rnnkit._messages import dotted, short_repr
from rnnkit.catalog import LOCAL, Index, canonical, is_distribution, is_name, normalized
from rnnkit.errors import AmbiguousKindError, BlockedKindError, PluginError, UnknownKindError, UnresolvedKindError
from rnnkit.options import Options
from rnnkit.specs.plain_data import find_problems
from rnnkit.specs.provenance import DistributionPin


class UnresolvedOptions(Options):
    """The options of a kind that is not available, unchecked and unchanged.

    Equal to others with the same values, in any order and whichever distribution provides the kind.

    Attributes:
        text: the values as a JSON object.
        plugin: the distribution that provides the kind, as pip installs it: `rnnkit-nbrc==0.1.0`; None: unknown.
    """

    text: str = "{}"
    plugin: str | None = None

    @classmethod
    def of(cls, values: Mapping[str, Any], *, plugin: str | None = None) -> Self:
        """Options that hold plain data.

        Raises:
            ValueError: a value is not plain data: text, finite numbers, booleans, None, lists and mappings.
        """
        for path, message, _ in find_problems({"options": values}):
            raise ValueError(f"{dotted(path)}: {message}" if path else message)
        return cls(text=json.dumps(values, default=dict), plugin=plugin)  # default: for mappings that are none

    @field_validator("text")
    @classmethod
    def _is_an_object(cls, text: str) -> str:
        if not isinstance(json.loads(text), dict):
            raise ValueError("Input should be a JSON object")  # noqa: TRY004  # pydantic reports only a ValueError
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
        """The options in their original order; a new dictionary each time."""
        values: dict[str, Any] = json.loads(self.text)
        return values

    def __eq__(self, other: object) -> bool:
        return self._sorted == other._sorted if isinstance(other, UnresolvedOptions) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._sorted)

    def __repr__(self) -> str:
        return f"UnresolvedOptions.of({self.values!r}, plugin={self.plugin!r})"

    @property
    def _sorted(self) -> str:
        return json.dumps(self.values, sort_keys=True)


class UnresolvedReadout(str):
    """The name of a readout that is not available.

    Attributes:
        plugin: the distribution that provides the readout, as in `UnresolvedOptions`.
    """

    __slots__ = ("plugin",)
    plugin: str | None

    def __new__(cls, name: str, plugin: str | None = None) -> Self:
        """Create the name."""
        self = super().__new__(cls, name)
        self.plugin = plugin
        return self


def name_elsewhere(name: str) -> str | None:
    """The canonical name that a kind or readout has where it is installed; None if none can have this name.

    The bare name of a third party's stays as it is: its distribution is known only where it is installed.
    """
    distribution, slash, kind = name.rpartition("/")
    if not is_name(kind) or (slash and not is_distribution(normalized(distribution))):
        return None
    return canonical(normalized(distribution), kind) if slash else name


def provider_elsewhere(name: str, plugin: str | None) -> DistributionPin | None:
    """The distribution that provides a kind or readout: the noted one, unless the name has another.

    Args:
        name: the name of the kind or readout.
        plugin: the noted distribution, `rnnkit-nbrc==0.1.0`; None: there is none.
    """
    distribution = normalized(name.rpartition("/")[0])
    noted = None if plugin is None else DistributionPin.parse(plugin)
    if noted is not None and distribution in {"", noted.distribution}:
        return noted
    return DistributionPin(distribution, None) if distribution not in {"", LOCAL} else None


def install_hint(provider: DistributionPin, name: str, index: Index) -> str:
    """Say which command installs a kind or readout, and why it is not available."""
    distribution, noun = provider.distribution, index.category.noun
    version = _installed_version(index, distribution)
    reason = (
        "which is not installed"
        if version is None
        else f"but the installed {distribution} {version} has no such {noun}"
    )
    return (
        f"The {noun} {short_repr(str(name))} is provided by {distribution} {provider.version or ''}".rstrip()
        + f', {reason}: run pip install "{provider}" and load the spec again'
    )


def unresolved_error(index: Index, name: str, plugin: str | None) -> UnresolvedKindError:
    """The error of building a spec whose kind or readout was not available when it was created.

    Args:
        index: the index of kinds or of readouts.
        name: the name.
        plugin: the distribution that provides it; None: unknown.
    """
    noun, name = index.category.noun, str(name)
    try:
        index.get(name)
    except UnknownKindError as error:
        provider = provider_elsewhere(name, plugin)
        return UnresolvedKindError(str(error) if provider is None else install_hint(provider, name, index))
    except (AmbiguousKindError, BlockedKindError, PluginError) as error:
        message = f"The {noun} {short_repr(name)} is not available in this environment. {error}"
        unavailable = UnresolvedKindError(message)
        unavailable.__cause__ = error
        return unavailable
    return UnresolvedKindError(
        f"The {noun} {short_repr(name)} was not installed when this spec was created but is now; recreate it with "
        "dataclasses.replace(spec) or load it again"
    )


def _installed_version(index: Index, distribution: str) -> str | None:
    candidates = (each.candidate for each in index.providers())
    return next((each.version for each in candidates if each.distribution == distribution), None)
