"""What docstrings in Google's style say of a class and of its fields."""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(r"(?P<name>[A-Z]\w*( \w+)?):\s*")
_ENTRY = re.compile(r"(?P<indent>\s+)(?P<name>\w+)\s*(\([^)]*\))?:(?P<text>.*)")


def text_of_class(cls: type) -> str:
    """What a class's own docstring says before its first section; paragraphs are kept apart, lines are joined."""
    lines = _own_docstring(cls).splitlines()
    end = next((number for number, line in enumerate(lines) if _SECTION.fullmatch(line)), len(lines))
    paragraphs = "\n".join(lines[:end]).strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def texts_of_fields(cls: type) -> dict[str, str]:
    """What the sections `Attributes:` of a class and of its bases say of each field, on one line each.

    Where several say something, the class that is nearest counts.
    """
    texts: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        texts |= _entries(_section(_own_docstring(each), "Attributes"))
    return texts


def _own_docstring(cls: type) -> str:
    own = vars(cls).get("__doc__")
    return inspect.cleandoc(own) if isinstance(own, str) else ""


def _section(docstring: str, name: str) -> list[str]:
    """The lines of a section: all that are indented, up to the next that is not."""
    lines = docstring.splitlines()
    start = next((number for number, line in enumerate(lines, 1) if line.rstrip() == f"{name}:"), len(lines))
    ends = (number for number, line in enumerate(lines[start:], start) if line and not line[0].isspace())
    return lines[start : next(ends, len(lines))]


def _entries(section: list[str]) -> dict[str, str]:
    """The text of each entry; lines that are indented further than the first entry go on with the one above."""
    entries: dict[str, list[str]] = {}
    indent = None
    for line in section:
        entry = _ENTRY.fullmatch(line)
        if entry and (indent is None or entry["indent"] == indent):
            indent = entry["indent"]
            entries[entry["name"]] = [entry["text"]]
        elif entries:
            entries[list(entries)[-1]].append(line)
    return {name: " ".join(" ".join(lines).split()) for name, lines in entries.items()}
