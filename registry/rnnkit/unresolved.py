"""The options of a kind that cannot be had here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import field_validator, model_serializer

from rnnkit.lock import Plugin
from rnnkit.options import Options
from rnnkit.plain_data import obstacles


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
        for path, message, _ in obstacles({"options": values}):
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
        return None if plugin is None else str(Plugin.parse(plugin))

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
