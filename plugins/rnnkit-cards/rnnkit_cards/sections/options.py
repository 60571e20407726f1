"""The options of a kind, from their class."""

from __future__ import annotations

import re

from rnnkit import FieldDescription, InitOptions, Options, StackOptions, describe_options
from rnnkit_cards.card_context import CardContext
from rnnkit_cards.links import Links
from rnnkit_cards.markdown import code, collapsed, table

_TITLES: dict[type[Options], str] = {
    StackOptions: "Options of every cell stack",
    InitOptions: "Options that torch's kinds share",
}
_MAX_EXPANDED = 3
_NULL = re.compile(r"\bnull\b")


def options(card: CardContext, links: Links) -> str:
    """The kind's own options, then the shared ones, collapsed if there are many."""
    described = describe_options(card.record.options)
    base = card.shared_options
    shared_names = {field.name for field in describe_options(base)}
    own = [field for field in described if field.name not in shared_names]
    shared = [field for field in described if field.name in shared_names]
    parts = ["## Options", _intro(own, shared, links, is_stack=base is StackOptions)]
    parts += [_table(own)] if own else []
    if shared and (len(shared) > _MAX_EXPANDED or own):
        parts.append(collapsed(f"{_TITLES.get(base, 'Other options')} ({len(shared)})", _table(shared)))
    elif shared:
        parts.append(_table(shared))
    return "\n\n".join(parts)


def _intro(own: list[FieldDescription], shared: list[FieldDescription], links: Links, *, is_stack: bool) -> str:
    if not own and not shared:
        return "This kind has no options."
    usage = 'Pass them to the spec as `options={"name": value}`.'
    if not is_stack:
        return usage
    every = links.to("plugins/cells.md#options", "every cell stack")
    return (
        f"{usage} The kind has {'its own, and ' if own else ''}the options of {every}; it rejects those that its cells "
        "do not support."
    )


def _table(fields: list[FieldDescription]) -> str:
    rows = [[code(field.name), _type(field.type), code(_python(field.default)), field.text] for field in fields]
    return table(["option", "type", "default", "meaning"], rows)


def _type(text: str) -> str:
    """Choices as code, one by one, because a `|` would end the table cell."""
    return " or ".join(code(each) if each.startswith('"') else _NULL.sub("None", each) for each in text.split(" | "))


def _python(default: str) -> str:
    """A default in Python's notation; descriptions have it in JSON's."""
    return {"null": "None", "true": "True", "false": "False"}.get(default, default)
