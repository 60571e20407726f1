"""`KEY=VALUE`, as people write it on a command line, and how it changes the fields of a spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple, Self

from rnnkit._messages import short_repr
from rnnkit.catalog import current_catalog
from rnnkit.errors import RnnkitError
from rnnkit.options import plain_defaults
from rnnkit.specs import DEEPEST, Path


class Assignment(NamedTuple):
    """One field that gets another value.

    Attributes:
        given: as it was written.
        path: the keys that lead to the field.
        text: what stands behind the `=`.
        value: the text as YAML reads it.
    """

    given: str
    path: Path
    text: str
    value: Any

    @classmethod
    def parse(cls, given: str) -> Self:
        """Read `KEY=VALUE`.

        Raises:
            ValueError: it is not of this form; says of which.
        """
        from rnnkit.files.spec.yaml_format import read_value

        key, equal, text = given.partition("=")
        path = tuple(part.strip() for part in key.split("."))
        if not equal or not all(path):
            raise ValueError("Should be KEY=VALUE, such as hidden_size=64 or options.nonlinearity=relu")
        if len(path) > DEEPEST:
            raise ValueError(f"Should not go more than {DEEPEST} levels deep")
        return cls(given, path, text, read_value(text))

    def as_text(self) -> Self:
        """The same, whose value is the text itself."""
        return self._replace(value=self.text)

    def covers(self, path: Path) -> bool:
        """Whether a path leads to what was assigned, or into it."""
        return path[: len(self.path)] == self.path


def conflicts(assignments: Sequence[Assignment]) -> Iterator[tuple[Assignment, str]]:
    """Each assignment that undoes an earlier one, and what to say of it."""
    for position, later in enumerate(assignments):
        for earlier in assignments[:position]:
            if later.covers(earlier.path):
                same = "the same field" if later.path == earlier.path else "a part of it before"
                yield later, f"override {short_repr(earlier.given)} sets {same}: give one of them"


def assigned(
    data: Mapping[str, Any], assignments: Sequence[Assignment]
) -> tuple[dict[str, Any], list[tuple[Assignment, str]]]:
    """The fields after the assignments, one after the other, and what to say of those that cannot be made.

    Where the kind is assigned, the options that have the defaults of the kind before go with it.
    """
    fields = deepcopy(dict(data))
    if any(each.path == ("kind",) for each in assignments):
        _drop_defaults(fields)
    messages = [(each, _assign(fields, each)) for each in assignments]
    return fields, [(each, message) for each, message in messages if message]


def _assign(fields: dict[str, Any], assignment: Assignment) -> str:
    """Set one field; returns what is in the way, if anything is."""
    *outer, last = assignment.path
    parent = fields
    for depth, key in enumerate(outer, 1):
        inner = parent.get(key)
        if inner is None:
            inner = parent[key] = {}
        if not isinstance(inner, dict):
            return f"{'.'.join(outer[:depth])} is {short_repr(inner)}, which has no fields: replace it as a whole"
        parent = inner
    parent[last] = assignment.value
    return ""


def _drop_defaults(fields: dict[str, Any]) -> None:
    """Take away the options that have their defaults."""
    defaults, options = _defaults(fields.get("kind")), fields.get("options")
    if isinstance(options, dict):  # `repr`, since True is not 1
        kept = {name: value for name, value in options.items() if repr(value) != repr(defaults.get(name, ...))}
        fields["options"] = kept


def _defaults(kind: object) -> dict[str, Any]:
    """The options of a kind with their defaults; of one that cannot be had nobody knows them."""
    try:
        return plain_defaults(current_catalog().get(kind).options) if isinstance(kind, str) else {}
    except RnnkitError:
        return {}
