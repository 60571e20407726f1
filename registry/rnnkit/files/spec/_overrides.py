"""Overrides: `KEY=VALUE` from a command line, and how they change the fields of a spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple, Self

from rnnkit._messages import dotted, join_names, short_repr
from rnnkit.catalog import current_catalog
from rnnkit.errors import RnnkitError
from rnnkit.options import plain_defaults
from rnnkit.specs import MAX_DEPTH, Path


class Override(NamedTuple):
    """A new value for a field.

    Attributes:
        given: the override as it was written.
        path: the keys of the field.
        text: the text after the `=`.
        value: the text parsed as YAML.
    """

    given: str
    path: Path
    text: str
    value: Any

    @classmethod
    def parse(cls, given: str) -> Self:
        """Parse `KEY=VALUE`.

        Raises:
            ValueError: it does not have this form.
        """
        from rnnkit.files.spec._yaml import read_value

        key, equal, text = given.partition("=")
        path = tuple(part.strip() for part in key.split("."))
        if not equal or not all(path):
            raise ValueError("Should be KEY=VALUE, such as hidden_size=64 or options.nonlinearity=relu")
        if len(path) > MAX_DEPTH:
            raise ValueError(f"Should not be nested more than {MAX_DEPTH} levels deep")
        return cls(given, path, text, read_value(text))


def prefixes(path: Path) -> Iterator[Path]:
    """Yield a path and the paths of the values that it is in, the innermost first."""
    return (path[:length] for length in range(len(path), 0, -1))


def fields_of(overrides: Iterable[str]) -> dict[str, Any]:
    """Return the fields that overrides `KEY=VALUE` set, with nested fields in dictionaries.

    Raises:
        ValueError: an override does not have this form, or sets a field of a value that has none.
    """
    fields, problems = apply_overrides({}, [_parsed(each) for each in overrides])
    if problems:
        raise ValueError(join_names((message for _, message in problems), "; "))
    return fields


def _parsed(given: str) -> Override:
    try:
        return Override.parse(given)
    except ValueError as error:
        raise ValueError(f"{short_repr(given)}: {error}") from error


def find_conflicts(overrides: Sequence[Override]) -> Iterator[tuple[Override, str]]:
    """Yield each override that undoes an earlier one, with a message."""
    first: dict[Path, Override] = {}  # that sets each field, or a part of it
    for later in overrides:
        if earlier := first.get(later.path):
            same = "the same field" if later.path == earlier.path else "a part of the same field"
            yield later, f"override {short_repr(earlier.given)} sets {same}: remove one of them"
        for start in prefixes(later.path):
            first.setdefault(start, later)


def apply_overrides(
    data: Mapping[str, Any], overrides: Sequence[Override]
) -> tuple[dict[str, Any], list[tuple[Override, str]]]:
    """Return the fields after the overrides, and a message for each override that cannot be applied.

    If the kind is overridden, options that have the defaults of the old kind are dropped.
    """
    fields = deepcopy(dict(data))
    if any(each.path == ("kind",) for each in overrides):
        _drop_default_options(fields)
    messages = [(each, _apply(fields, each)) for each in overrides]
    return fields, [(each, message) for each, message in messages if message]


def _apply(fields: dict[str, Any], override: Override) -> str:
    """Set a field, and return a message if that is not possible."""
    *outer, last = override.path
    parent = fields
    for depth, key in enumerate(outer, 1):
        inner = parent.get(key)
        if inner is None:
            inner = parent[key] = {}
        if not isinstance(inner, dict):
            return f"{dotted(outer[:depth])} is {short_repr(inner)}, which has no fields: replace the whole value"
        parent = inner
    parent[last] = override.value
    return ""


def _drop_default_options(fields: dict[str, Any]) -> None:
    defaults, options = _default_options(fields.get("kind")), fields.get("options")
    if isinstance(options, dict):  # `repr`, since True equals 1
        kept = {name: value for name, value in options.items() if repr(value) != repr(defaults.get(name, ...))}
        fields["options"] = kept


def _default_options(kind: object) -> dict[str, Any]:
    """The default options of a kind; empty if the kind is not available."""
    try:
        return plain_defaults(current_catalog().get(kind).options) if isinstance(kind, str) else {}
    except RnnkitError:
        return {}
