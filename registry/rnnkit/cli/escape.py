"""Text that can be shown whatever it is, since plugins and files may hold anything."""

from __future__ import annotations

import re

from rnnkit._messages import short_repr


def as_text(value: object) -> str:
    """A text as it is, and what a plugin has put in the place of one in other words."""
    return value if isinstance(value, str) else short_repr(value)


def escape_control_chars(text: str) -> str:
    """A text in which nothing can command a terminal: what is neither printable nor a line's end is its escape."""
    return "".join(each if each.isprintable() or each == "\n" else _escape(each) for each in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def in_a_file(text: str) -> str:
    """What a docstring says of a field, in the words of spec files, which have `null` where Python has `None`."""
    return re.sub(r"\bNone\b", "null", text)
