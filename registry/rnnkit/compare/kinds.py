"""From the argument `kinds` of a comparison to labels and the fields of specs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from rnnkit._messages import short_repr
from rnnkit.catalog import list_kinds, resolve_kind
from rnnkit.errors import CompareError

Kinds = Sequence[str] | Mapping[str, Mapping[str, Any]]


class Model(NamedTuple):
    """A model to compare.

    Attributes:
        label: what the tables call it.
        fields: of its spec, `kind` among them.
        required: whether the user named it; if a pattern found it, the comparison goes on without it.
    """

    label: str
    fields: Mapping[str, Any]
    required: bool


def models_of(kinds: Kinds) -> list[Model]:
    """Return the models that `kinds` names, each label once.

    Raises:
        CompareError: `kinds` is neither a list of names nor a mapping from labels to fields, or a pattern has no match.
        UnknownKindError, BlockedKindError, AmbiguousKindError: as for a spec.
    """
    if isinstance(kinds, Mapping):
        for label, fields in kinds.items():
            _check_spec(label, fields)
        return [Model(label, fields, required=True) for label, fields in kinds.items()]
    if isinstance(kinds, str):
        raise CompareError(f"kinds={kinds!r} is a single name: write [{kinds!r}]")
    if not isinstance(kinds, Iterable):
        raise CompareError(f"kinds={kinds!r} is not a list of names: write them as ['gru', 'lstm']")
    required: dict[str, bool] = {}
    for each in kinds:
        for name, by_user in _names(each):
            required[name] = required.get(name, False) or by_user
    return [Model(name, {"kind": name}, by_user) for name, by_user in required.items()]


def _check_spec(label: object, fields: object) -> None:
    if not isinstance(label, str) or not label:
        raise CompareError(f"A label must be a string, but is {label!r}")
    if not isinstance(fields, Mapping) or "kind" not in fields:
        raise CompareError(
            f"The spec of {label!r} must be a mapping of fields with the field `kind`, such as {{'kind': 'gru'}}, but "
            f"is {short_repr(fields)}"
        )
    if not isinstance(options := fields.get("options", {}), Mapping):
        raise CompareError(f"The `options` of {label!r} must be a mapping, but are {short_repr(options)}")


def _names(pattern: str) -> Iterator[tuple[str, bool]]:
    """Yield the names that a pattern finds, and whether it is itself the name."""
    if not isinstance(pattern, str):
        raise CompareError(
            f"kinds has {short_repr(pattern)}, which is not a name: to compare specs, write a mapping from labels to "
            "fields, such as {'narrow': {'kind': 'gru', 'hidden_size': 16}}"
        )
    if pattern == "all":
        yield from ((name, False) for name in list_kinds() if name != "mixed")  # which has no cells of its own
    elif not any(sign in pattern for sign in "*?["):
        yield resolve_kind(pattern).require().name, True
    elif found := list_kinds(pattern):
        yield from ((name, False) for name in found)
    else:
        raise CompareError(f"No kind matches {pattern!r}: `rnnkit list` shows the installed kinds")
