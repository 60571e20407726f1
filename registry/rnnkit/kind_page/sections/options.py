"""The options of a kind, from their class."""

from __future__ import annotations

import re

from rnnkit import FieldDescription, InitOptions, StackOptions, describe_options
from rnnkit.kind_page.example import base_of
from rnnkit.kind_page.links import Links
from rnnkit.kind_page.markdown import code, collapsed, table
from rnnkit.kind_page.specimen import Specimen

_SHARED = {StackOptions: "Options of every stack of cells", InitOptions: "Options that torch's kinds share"}
_FEW = 3
_NULL = re.compile(r"\bnull\b")  # as types of files have it


def options(kind: Specimen, links: Links) -> str:
    """The kind's own options, then those that it shares with others; the latter folded away where they are many."""
    described = describe_options(kind.record.options)
    base = base_of(kind)
    shared_names = {field.name for field in describe_options(base)}
    own = [field for field in described if field.name not in shared_names]
    shared = [field for field in described if field.name in shared_names]
    parts = ["## Options", _intro(own, shared, links, stack=base is StackOptions)]
    parts += [_table(own)] if own else []
    if shared and (len(shared) > _FEW or own):
        parts.append(collapsed(f"{_SHARED.get(base, 'Other options')} ({len(shared)})", _table(shared)))
    elif shared:
        parts.append(_table(shared))
    return "\n\n".join(parts)


def _intro(own: list[FieldDescription], shared: list[FieldDescription], links: Links, *, stack: bool) -> str:
    if not own and not shared:
        return "It has none beside the fields of every spec."
    given = 'They go into a spec as `options={"name": value}`.'
    if not stack:
        return given
    every = links.to("plugins/cells.md#options", "every stack of cells")
    return f"{given} It has {'its own, and ' if own else ''}those of {every}; what its cells cannot honour is refused."


def _table(fields: list[FieldDescription]) -> str:
    rows = [[code(field.name), _type(field.type), code(_in_python(field.default)), field.text] for field in fields]
    return table(["option", "type", "default", "meaning"], rows)


def _type(words: str) -> str:
    """Choices as code, each by itself: a `|` between them would end the cell of the table."""
    return " or ".join(code(each) if each.startswith('"') else _NULL.sub("None", each) for each in words.split(" | "))


def _in_python(default: str) -> str:
    """A default, which is told as JSON, as one writes it in Python."""
    return {"null": "None", "true": "True", "false": "False"}.get(default, default)
